"""Records of CRMs: fields that vanish, records that are gone or refused, contacts that are found."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from resegment.agents.sending.fields import find_news, keep_written, read_change, read_owner
from resegment.schemas.logs.call_log import WrittenFields
from resegment.sinks.hubspot.vendor import HubSpot, HubSpotOptions
from resegment.sinks.operation import Owner
from resegment.sinks.port import Answer, Call, RecordFields, Sink
from resegment.sinks.salesforce.vendor import Salesforce, SalesforceOptions
from tests.vendors.hubspot import HubSpotServer
from tests.vendors.salesforce import SalesforceServer
from tests.vendors.server import VendorServer

T = TypeVar("T")


def follow(sink: Sink, steps: Generator[Call, Answer, T], server: VendorServer) -> T:
    try:
        call = next(steps)
        while True:
            assert call.kind != "once"
            answer = server.answer(call.request)
            call = steps.send(Answer(answer.status, answer.body, verdict=sink.judge(answer)))
    except StopIteration as done:
        result: T = done.value
        return result


def hubspot(**options: Any) -> HubSpot:
    return HubSpot(HubSpotOptions(**options))


def test_hubspot_leaves_out_a_property_that_was_deleted_and_writes_the_others() -> None:
    server, sink = HubSpotServer(), hubspot()
    server.properties -= {"rs_play"}
    fields = {"rs_segment": "a", "rs_play": "p", "rs_next": None}
    (result,) = follow(sink, sink.write_fields([RecordFields("acme.com", fields)]), server)
    assert (result.outcome, result.dropped) == ("written", ("rs_play",))
    assert server.writes == [("901", {"rs_segment": "a", "rs_next": ""})]


def test_hubspot_reads_which_records_of_a_batch_failed() -> None:
    server, sink = HubSpotServer(), hubspot()
    server.companies |= {"902": {"domain": "b.com"}, "903": {"domain": "c.com"}}
    server.refused.add("902")
    records = [
        RecordFields(one, {"rs_segment": "a"}) for one in ("acme.com", "b.com", "c.com", "nowhere.com")
    ]
    results = follow(sink, sink.write_fields(records), server)
    assert [one.outcome for one in results] == ["written", "refused", "written", "missing"]


def test_hubspot_creates_companies_by_a_key_of_their_own() -> None:
    server, sink = HubSpotServer(), hubspot(company_key="rs_domain")
    (result,) = follow(sink, sink.write_fields([RecordFields("new.com", {"rs_segment": "a"})]), server)
    assert result.outcome == "written"
    assert {"domain": "new.com", "rs_segment": "a"} in server.companies.values()


def test_hubspot_finds_contacts_by_company_and_domain_with_their_opt_outs() -> None:
    server, sink = HubSpotServer(), hubspot()
    server.contacts["60"] = {"email": "x@other.com", "associations.company": "901", "hs_email_optout": "true"}
    found = follow(sink, sink.search("acme.com"), server)
    assert [(one.email, one.opted_out) for one in found] == [("ada@acme.com", False), ("x@other.com", True)]


def test_salesforce_leaves_out_a_field_that_was_deleted_and_an_account_that_is_gone() -> None:
    server, sink = SalesforceServer(), Salesforce(SalesforceOptions())
    server.accounts["001000000000002AAA"] = {"Website": "b.com"}
    server.fields -= {"RS_Play__c"}
    records = [
        RecordFields(one, {"RS_Segment__c": "a", "RS_Play__c": None})
        for one in ("acme.com", "b.com", "c.com")
    ]
    results = follow(sink, sink.write_fields(records), server)
    assert [(one.outcome, one.dropped) for one in results] == [
        ("written", ("RS_Play__c",)),
        ("written", ("RS_Play__c",)),
        ("missing", ()),
    ]
    assert server.writes[0] == ("001000000000001AAA", {"RS_Segment__c": "a"})


def test_salesforce_quotes_what_it_is_given() -> None:
    server, sink = SalesforceServer(), Salesforce(SalesforceOptions())
    follow(sink, sink.search("a'b\\%_.com"), server)
    soql = dict(server.received[0].query)["q"]
    assert r"LIKE '%a\'b\\\%\_.com%'" in soql


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", "retry"),
        (401, "INVALID_SESSION_ID", "unauthorized"),
        (400, "UNABLE_TO_LOCK_ROW", "retry"),
        (404, "NOT_FOUND", "gone"),
        (400, "ENTITY_IS_DELETED", "gone"),
        (400, "MALFORMED_QUERY", "refused"),
        (500, "UNKNOWN_EXCEPTION", "lost"),
    ],
)
def test_salesforce_says_by_a_code_what_an_answer_means(status: int, code: str, verdict: str) -> None:
    sink = Salesforce(SalesforceOptions())
    assert sink.judge(Answer(status, [{"errorCode": code, "message": "m"}])) == verdict


def test_only_what_changed_is_news_and_a_renamed_field_is_emptied() -> None:
    names, owners = {"segment": "s", "owner": "OwnerId"}, {"ada": Owner("ada", None, {"owner": "005"})}
    nothing = WrittenFields()
    news = find_news(nothing, {"segment": "a", "owner": "ada", "why": "w"}, names, owners)
    assert news == {"s": "a", "OwnerId": "005"}
    kept = keep_written(nothing, {"segment": "a", "owner": "ada", "why": "w"}, news, ())
    assert find_news(kept, {"segment": "a"}, names, owners) == {}
    assert find_news(kept, {}, {"segment": "s2", "why": "y"}, owners) == {
        "s2": "a",
        "y": "w",
        "s": None,
        "OwnerId": None,
    }


def test_a_field_that_the_vendor_dropped_is_written_again_with_the_next_change() -> None:
    kept = keep_written(WrittenFields(), {"segment": "a"}, {"s": "a"}, ("s",))
    assert find_news(kept, {"play": "p"}, {"segment": "s"}, {}) == {"s": "a"}


def test_a_merged_account_has_its_fields_emptied_and_one_that_leaves_has_no_owner() -> None:
    account, values = read_change(b'{"data": {"account": "old.com", "to": null}}')
    assert account == "old.com"
    assert set(values.values()) == {None}
    assert read_owner(b'{"data": {"action": "stop", "account": "a.com", "owner": "ada"}}') == (
        "a.com",
        {"owner": None},
    )
    assert read_owner(b'{"data": {"action": "escalate", "account": "a.com", "owner": "bo"}}') == ("a.com", {})
