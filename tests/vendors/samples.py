"""One sample of each vendor: how it is configured, and the server that behaves like it. Add yours to SAMPLES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resegment.sinks.kit import run
from resegment.sinks.operation import Brief, Contact, Enrolled, Operation, OperationKind, Owner
from resegment.sinks.port import Sink
from resegment.sinks.registry import VENDORS
from tests.vendors.apollo import ApolloServer
from tests.vendors.hubspot import HubSpotServer
from tests.vendors.instantly import CAMPAIGN, InstantlyServer
from tests.vendors.lemlist import CAMPAIGN as LEMLIST_CAMPAIGN
from tests.vendors.lemlist import LemlistServer
from tests.vendors.outreach import OutreachServer
from tests.vendors.salesforce import SalesforceServer
from tests.vendors.salesloft import SalesloftServer
from tests.vendors.server import VendorServer
from tests.vendors.slack import SlackServer
from tests.vendors.smartlead import SmartleadServer


@dataclass(frozen=True)
class Sample:
    """`options` and `target` are as `sinks.yaml` has them; `contacts` are known to the server, as is the owner."""

    vendor: str
    server: Callable[[], VendorServer]
    options: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    owner_ids: Mapping[str, str] = field(default_factory=dict)
    contacts: tuple[Contact, ...] = (
        Contact(
            email="ada@acme.com", first_name="Ada", last_name="Example", title="CRO", persona="economic-buyer"
        ),
        Contact(email="Bo@acme.com", first_name="Bo", last_name="Example", title="VP Sales"),
    )
    secrets: Mapping[str, str] = field(default_factory=lambda: {"token": "the-token"})

    def sink(self) -> Sink:
        vendor = VENDORS[self.vendor]
        return vendor.build(vendor.options.model_validate(self.options))

    def operation(self, kind: OperationKind, key: str = "k1", **changes: Any) -> Operation:
        target = VENDORS[self.vendor].target.model_validate(self.target)
        given: dict[str, Any] = {
            "kind": kind,
            "key": key,
            "account": "acme.com",
            "workflow": "exec-first-90",
            "target": target,
            "contacts": self.contacts if kind == "enroll" else (),
            "enrolled": tuple(Enrolled(one) for one in self.contacts)
            if kind in {"stop", "pause", "reassign"}
            else (),
            "owner": Owner("ada", "owner@example.com", self.owner_ids),
            "segment": "new-sales-leader",
            "play": "first-90-days",
            "brief": Brief(
                "acme.com entered new-sales-leader",
                "Why: a new CRO joined on 31 January.\nSay: Live in two weeks.",
            ),
            "at": "2026-02-01T00:00:00Z",
            **changes,
        }
        return Operation(**given)


def begin(sample: Sample, server: VendorServer, kind: OperationKind) -> Operation:
    """Return an operation of that kind; for one about what is enrolled, after its contacts were enrolled."""
    if kind in {"enroll", "escalate", "task"} or not VENDORS[sample.vendor].enrolls:
        return sample.operation(kind)
    result = run(sample.sink(), sample.operation("enroll", "k0"), server.answer)
    enrolled = tuple(Enrolled(one.contact, one.references, "k0") for one in result.contacts)
    server.received.clear()
    return sample.operation(kind, enrolled=enrolled)


SAMPLES = {
    one.vendor: one
    for one in (
        Sample(
            "apollo",
            ApolloServer,
            options={"key_field": "60c39ed82bd02f01154c470a"},
            target={"sequence": "s54"},
            owner_ids={"user": "u2", "mailbox": "m3"},
        ),
        Sample(
            "instantly",
            InstantlyServer,
            target={"campaign": CAMPAIGN},
            owner_ids={"user": "019ffad2-53a3-7590-935f-b4938179e96d"},
        ),
        Sample(
            "lemlist",
            LemlistServer,
            target={"campaign": LEMLIST_CAMPAIGN},
            owner_ids={"user": "usr_2"},
            contacts=(
                Contact(email="ada@acme.com", first_name="Ada", last_name="Example", title="CRO"),
                Contact(email="Bo@acme.com", first_name="Bo", last_name="Example"),
            ),
        ),
        Sample(
            "hubspot",
            HubSpotServer,
            target={"sequence": "44", "list": "7"},
            owner_ids={"user": "161977243", "owner": "77", "sender": "owner@example.com"},
        ),
        Sample(
            "outreach",
            OutreachServer,
            options={"key_field": "custom42"},
            target={"sequence": 54},
            owner_ids={"user": "2", "mailbox": "3"},
        ),
        Sample(
            "salesforce",
            SalesforceServer,
            target={"cadence": "77C000000004CXEEA2"},
            owner_ids={"user": "005000000000001AAA"},
            secrets={"client_id": "the-client", "client_secret": "the-secret"},
        ),
        Sample(
            "salesloft",
            SalesloftServer,
            options={"key_field": "resegment_key"},
            target={"cadence": 54},
            owner_ids={"user": "2"},
        ),
        Sample("slack", SlackServer, owner_ids={}),
        Sample("smartlead", SmartleadServer, target={"campaign": 54}),
    )
}
