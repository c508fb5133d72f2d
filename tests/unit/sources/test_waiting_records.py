"""By what a record without a domain waits, where such records are kept."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import Context
from resegment.sources.registry import find_adapter

UPDATE = {
    "entityName": "Opportunity",
    "recordIds": ["006"],
    "changeType": "UPDATE",
    "commitTimestamp": 1769904000000,
}
OF_ITSELF: list[tuple[str, Any, str]] = [
    ("theirstack", {"id": "2", "type": "job.closed", "payload": {"id": 5, "closed_at": "2026-02-01T00:00:00Z"}}, "5"),
    ("theirstack", {"id": "2", "type": "job.closed", "payload": {"job_id": 5, "closed_at": "2026-02-01T00:00:00Z"}}, "5"),
    ("salesforce", {"ChangeEventHeader": UPDATE, "StageName": "Closed Won"}, "006"),
    ("salesforce", {"ChangeEventHeader": UPDATE, "StageName": "Negotiation"}, "006"),
    ("hubspot", {"subscriptionType": "deal.creation", "objectId": 990, "occurredAt": 1769904000000}, "990"),
]  # fmt: skip
JOINED = {
    "fullName": "Jo Ek", "title": "CRO", "previousTitle": "VP Sales", "organizationChangeDate": "2026-02-01T00:00:00Z",
}  # fmt: skip


def subjects(name: str, payload: Any, **context: Any) -> list[str]:
    """Return the subject of each event, and the reason of each refusal."""
    found = find_adapter(name).convert(payload, Context(unresolved=True, **context))
    return [
        one["subject"] if isinstance(one, dict) else one.reason
        for one in found
        if isinstance(one, dict | RefusedEvent)
    ]


@pytest.mark.parametrize(("name", "payload", "own"), OF_ITSELF)
def test_a_record_does_not_wait_by_its_own_id_but_goes_to_the_account_known_for_it(
    name: str, payload: Any, own: str
) -> None:
    assert set(subjects(name, payload)) == {"no-account"}
    assert set(subjects(name, payload, accounts={own: "acme.com"})) == {"acme.com"}
    assert set(subjects(name, payload, account="zeta.io")) == {"zeta.io"}


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"primaryEmail": "jo@gmail.com", "organization": {"name": "Acme Inc"}}, "name:Acme Inc"),
        ({"primaryEmail": "jo@gmail.com", "organization": {"id": "17"}}, "not-a-company"),
        ({"primaryEmail": "jo@gmail.com"}, "not-a-company"),
        ({"primaryEmail": "jo@acme.com", "organization": {"name": "Acme Inc"}}, "acme.com"),
        ({"organization": {"name": "Acme Inc", "website": "https://linkedin.com"}}, "not-a-company"),
    ],
)
def test_a_person_with_a_private_mailbox_waits_by_the_name_of_the_company(
    more: dict[str, Any], found: str
) -> None:
    assert subjects("common-room", {**JOINED, **more}) == [found]


def test_a_private_mailbox_is_refused_where_records_do_not_wait() -> None:
    member = {**JOINED, "primaryEmail": "jo@gmail.com", "organization": {"name": "Acme Inc"}}
    for account in (None, "zeta.io"):
        found = list(find_adapter("common-room").convert(member, Context(account=account)))
        assert [one.reason for one in found if isinstance(one, RefusedEvent)] == ["not-a-company"]
