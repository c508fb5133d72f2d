"""A deal that is open again is neither won nor lost: its closing is withdrawn."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.times import format_instant
from tests.unit.sources.adapting import convert

WON, OPEN, AGAIN = "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"
ENTERED = "hs_v2_date_entered_current_stage"
DEAL = {"id": "1", "dealname": "x", "domain": "acme.com", "createdate": "2026-01-01T00:00:00Z"}
OPPORTUNITY = {"Id": "006", "Website": "acme.com", "CreatedDate": "2026-01-01T00:00:00Z", "Amount": 5}


def standing(facts: list[Fact], closing: str) -> list[str]:
    """Return what is known of the closing of a deal after each of the facts about it, in the order of when they were known."""
    mine = sorted((one for one in facts if one.record == closing), key=lambda one: (one.recorded, one.id))
    assert len({(one.account, one.source) for one in mine}) == 1
    return [
        f"{'open' if one.op == 'retract' else one.data['action']} {format_instant(one.recorded)[:10]}"
        for one in mine
    ]


ROUNDS = ["won 2026-02-01", "open 2026-03-01", "lost 2026-04-01"]


def test_records_of_hubspot_say_when_the_deal_is_open_again() -> None:
    states: list[dict[str, Any]] = [
        {"dealstage": "closedwon", ENTERED: WON, "closedate": WON},
        {"dealstage": "qualifiedtobuy", ENTERED: OPEN, "closedate": WON},
        {"dealstage": "closedlost", ENTERED: AGAIN, "closedate": "2026-02-20T00:00:00Z"},
    ]
    facts = [fact for state in states for fact in convert("hubspot", {**DEAL, **state}).facts]
    assert standing(facts, "deal-closed:1") == ROUNDS


@pytest.mark.parametrize(
    ("state", "withdrawn"),
    [
        ({"dealstage": "7134", ENTERED: OPEN}, False),
        ({"dealstage": "7134", "hs_is_closed": "false", ENTERED: OPEN}, True),
        ({"dealstage": "qualifiedtobuy", ENTERED: DEAL["createdate"]}, False),
        ({"dealstage": "qualifiedtobuy"}, False),
    ],
)
def test_only_a_deal_that_surely_moved_to_an_open_stage_withdraws_its_closing(
    state: dict[str, Any], withdrawn: bool
) -> None:
    facts = convert("hubspot", {**DEAL, **state}).facts
    assert [one.record for one in facts if one.op == "retract"] == ["deal-closed:1"] * withdrawn


def test_webhooks_of_hubspot_withdraw_the_closing_of_a_deal_that_is_open_again() -> None:
    def moved(stage: str, day: int) -> dict[str, Any]:
        return {
            "subscriptionType": "deal.propertyChange", "objectId": 1, "propertyName": "dealstage", "propertyValue": stage,
            "occurredAt": 1769904000000 + day * 86_400_000,
        }  # fmt: skip

    stages = [moved("closedwon", 0), moved("appointmentscheduled", 28), moved("closedlost", 59)]
    found = convert("hubspot", [*stages, moved("7134", 60)], accounts={"1": "acme.com"})
    assert standing(found.facts, "deal-closed:1") == ROUNDS
    assert found.refused == [("ignored", "propertyValue")]


def test_the_history_of_a_deals_stage_closes_and_reopens_it() -> None:
    versions = [
        {"value": "closedlost", "timestamp": AGAIN},
        {"value": "qualifiedtobuy", "timestamp": OPEN},
        {"value": "closedwon", "timestamp": WON},
        {"value": "appointmentscheduled", "timestamp": DEAL["createdate"]},
    ]
    record = {
        **DEAL,
        "dealstage": "closedlost",
        "closedate": AGAIN,
        "propertiesWithHistory": {"dealstage": versions},
    }
    facts = {one.id: one for one in convert("hubspot", record).facts}
    assert list(dict.fromkeys(standing(list(facts.values()), "deal-closed:1"))) == ROUNDS

    rows = [{"deal_id": 1, "company_id": 7, "name": "dealstage", **one} for one in versions[:3]]
    rows.append({"deal_id": 1, "name": "amount", "value": "5", "timestamp": WON})
    exported = convert("hubspot", rows, accounts={"7": "acme.com"})
    assert standing(exported.facts, "deal-closed:1") == ROUNDS
    assert exported.refused == [("ignored", "name")]


def test_records_of_salesforce_say_when_the_opportunity_is_open_again() -> None:
    states = [
        {"StageName": "Closed Won", "LastStageChangeDate": WON, "CloseDate": "2026-02-01"},
        {"StageName": "Negotiation", "LastStageChangeDate": OPEN, "CloseDate": "2026-02-01"},
        {"StageName": "Closed Lost", "LastStageChangeDate": AGAIN, "CloseDate": "2026-02-20"},
    ]
    facts = [fact for state in states for fact in convert("salesforce", {**OPPORTUNITY, **state}).facts]
    assert standing(facts, "opportunity-closed:006") == ROUNDS
    new = convert("salesforce", {**OPPORTUNITY, "StageName": "Prospecting", "CloseDate": "2026-09-01"})
    assert [one.op for one in new.facts] == ["assert"]


def test_change_events_and_the_field_history_of_salesforce_reopen_an_opportunity() -> None:
    def changed(stage: str, day: int) -> dict[str, Any]:
        header = {
            "entityName": "Opportunity", "recordIds": ["006"], "changeType": "UPDATE",
            "commitTimestamp": 1769904000000 + day * 86_400_000,
        }  # fmt: skip
        return {"ChangeEventHeader": header, "StageName": stage}

    stages = [changed("Closed Won", 0), changed("Negotiation", 28), changed("Closed Lost", 59)]
    told = convert("salesforce", stages, accounts={"006": "acme.com"})
    assert standing(told.facts, "opportunity-closed:006") == ROUNDS

    rows = [
        {"attributes": {"type": "OpportunityFieldHistory"}, "OpportunityId": "006", "Field": "StageName", "NewValue": stage, "CreatedDate": at}
        for stage, at in [("Closed Won", WON), ("Negotiation", OPEN), ("Closed Lost", AGAIN)]
    ]  # fmt: skip
    read = convert("salesforce", rows, accounts={"006": "acme.com"})
    assert standing(read.facts, "opportunity-closed:006") == ROUNDS
