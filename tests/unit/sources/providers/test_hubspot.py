"""What HubSpot's exports, interface and webhooks become."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from resegment.schemas.times import format_instant
from tests.unit.sources.adapting import convert, convert_file


def test_an_export_of_companies_gives_a_snapshot_for_each_domain() -> None:
    found = convert_file("hubspot", "hubspot-companies.csv", zone=ZoneInfo("Europe/Berlin"))
    (first,) = found.about("example.com")
    assert first.data == {
        "name": "Northwind",
        "industry": "Retail",
        "employees": 1250,
        "revenue_usd": 12500000,
        "country": "Germany",
        "country_code": "DE",
        "technologies": ["hubspot", "outreach"],
        "lifecyclestage": "customer",
        "renewal_date": "2026-12-01",
    }
    assert format_instant(first.time) == "2026-03-04T07:30:00Z"
    assert found.refused == [("no-account", "domain")]


def test_a_range_of_employees_is_kept_as_its_bounds_and_a_wrong_cell_costs_only_itself() -> None:
    found = convert_file("hubspot", "hubspot-companies.csv", zone=ZoneInfo("UTC"))
    (ranged,) = found.about("fabrikam.com")
    assert (ranged.data["employees_min"], ranged.data["employees_max"]) == (51, 200)
    assert ranged.data["employees"] == "51-200"
    (wrong,) = found.about("contoso.com")
    assert wrong.data["industry"] == "Retail"
    assert "employees" not in wrong.data
    assert ("wrong-cell", "Number of Employees") in found.remarks


def test_a_time_without_a_zone_is_remarked_once_for_a_file() -> None:
    found = convert_file("hubspot", "hubspot-companies.csv")
    assert [one for one in found.remarks if one[0] == "no-zone"] == [("no-zone", "Last Modified Date")]


def test_the_next_export_of_a_company_is_another_fact_and_the_same_one_is_the_same_event() -> None:
    row = {"Record ID": "1", "Company Domain Name": "acme.com", "Number of Employees": "10"}
    old = convert("hubspot", {**row, "Last Modified Date": "2026-01-01T00:00:00Z"}).only()
    new = convert("hubspot", {**row, "Last Modified Date": "2026-02-01T00:00:00Z"}).only()
    assert old.record != new.record
    assert convert("hubspot", {**row, "Last Modified Date": "2026-01-01T00:00:00Z"}).only() == old


def test_objects_of_both_interfaces_give_the_same_attributes() -> None:
    found = convert_file("hubspot", "hubspot-crm.json")
    new = found.about("biglytics.net")[0]
    assert new.data["employees"] == 85
    assert new.data["renewal_date"] == "2026-12-01"
    assert new.record == "company:512:2026-02-07T16:50:06.678Z"
    (old,) = found.about("oldapi.com")
    assert old.data["employees"] == 1000
    assert format_instant(old.time) == "2016-03-11T14:55:03.906Z"


def test_a_deal_is_opened_and_won_at_its_own_times() -> None:
    deals = [one for one in convert_file("hubspot", "hubspot-crm.json").facts if one.kind == "outcome"]
    assert [(one.data["action"], format_instant(one.time), one.data["deal"], one.data["amount_usd"]) for one in deals] == [
        ("opportunity_created", "2026-01-01T00:00:00Z", "990", 1500),
        ("won", "2026-02-03T00:00:00Z", "990", 1500),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "action"),
    [
        ({"dealstage": "closedlost"}, "lost"),
        ({"Deal Stage": "Closed Won"}, "won"),
        ({"dealstage": "7134", "hs_is_closed_won": "true"}, "won"),
        ({"dealstage": "7135", "hs_is_closed": "true", "hs_is_closed_won": "false"}, "lost"),
    ],
)
def test_a_deal_of_a_custom_stage_is_closed_as_its_flags_say(given: dict[str, str], action: str) -> None:
    deal = {
        "id": "1",
        "dealname": "x",
        "domain": "acme.com",
        "createdate": "2026-01-01T00:00:00Z",
        "closedate": "2026-02-01T00:00:00Z",
    }
    facts = convert("hubspot", {**deal, **given}).facts
    assert [one.data["action"] for one in facts] == ["opportunity_created", action]


def test_an_archived_deal_withdraws_what_was_said_of_it() -> None:
    deal = {
        "id": "1",
        "domain": "acme.com",
        "properties": {"dealname": "x", "createdate": "2026-01-01T00:00:00Z"},
    }
    (fact,) = convert("hubspot", {**deal, "archived": True}).facts
    assert (fact.op, fact.record) == ("retract", "deal:1")


def test_a_webhook_changes_one_attribute_of_the_company_that_the_domains_name() -> None:
    found = convert_file("hubspot", "hubspot-webhook.json", accounts={"512": "biglytics.net"})
    assert [one.data for one in found.facts] == [{"employees": 120}, {"industry": None}]
    assert found.refused == [("ignored", "subscriptionType"), ("unknown-type", "subscriptionType")]


def test_email_events_are_outcomes_of_the_recipients_company() -> None:
    found = convert_file("hubspot", "hubspot-emails.json")
    assert [(one.account, one.data["action"]) for one in found.facts] == [
        ("example.com", "opened"),
        ("fabrikam.com", "unsubscribed"),
        ("fabrikam.com", "unsubscribed"),
        ("fabrikam.com", "spam_complaint"),
    ]
    assert found.facts[0].id == "e5cb72ba-8ad4-4a71-8bb8-7b2f4a5a1a1b"
    assert found.refused == [
        ("ignored", "filteredEvent"),
        ("ignored", "type"),
        ("not-a-company", "recipient"),
    ]


def test_the_history_of_a_property_is_one_fact_for_each_version() -> None:
    versions = [
        {"company_id": "7", "timestamp": "2020-01-01 00:00:00", "name": "numberofemployees", "value": "10"},
        {"company_id": "7", "timestamp": "2020-02-01 00:00:00", "name": "numberofemployees", "value": "20"},
        {
            "company_id": "7",
            "timestamp": "2020-02-01 00:00:00",
            "name": "hs_analytics_num_visits",
            "value": "20",
        },
    ]
    found = convert("hubspot", versions, accounts={"7": "acme.com"})
    assert [one.data for one in found.facts] == [{"employees": 10}, {"employees": 20}]
    assert len({one.record for one in found.facts}) == 2
    assert found.refused == [("ignored", "name")]


def test_an_export_of_deals_has_the_pipeline_beside_the_stage() -> None:
    row = {
        "Record ID": "5", "Deal Name": "x", "Deal Stage": "Closed Won (Sales Pipeline)", "Amount": "1,500.00", "Create Date": "2026-01-01 10:00",
        "Close Date": "2026-02-01 10:00", "Associated Company IDs": "101", "Associated Company": "Northwind",
    }  # fmt: skip
    facts = convert("hubspot", row, accounts={"101": "northwind.com"}).facts
    assert [(one.data["action"], one.account, one.data["amount_usd"]) for one in facts] == [
        ("opportunity_created", "northwind.com", 1500), ("won", "northwind.com", 1500),
    ]  # fmt: skip


def test_an_amount_in_another_currency_is_converted_at_the_rate_of_its_day() -> None:
    deal = {
        "id": "1",
        "dealname": "x",
        "domain": "acme.com",
        "createdate": "2026-01-01T00:00:00Z",
        "amount": "5",
        "deal_currency_code": "EUR",
    }
    (fact,) = convert("hubspot", deal).facts
    assert (fact.data["amount"], fact.data["currency"]) == (5, "EUR")
    assert (fact.data["amount_usd"], fact.data["rate"]) == (5.88, "ECB 2025-12-31")


def test_webhooks_of_deals_open_and_close_them() -> None:
    def message(kind: str, **more: object) -> dict[str, object]:
        return {
            "eventId": 1,
            "occurredAt": 1767225600000,
            "subscriptionType": f"deal.{kind}",
            "objectId": 990,
            **more,
        }

    found = convert(
        "hubspot",
        [
            message("creation"),
            message("propertyChange", propertyName="dealstage", propertyValue="closedlost"),
            message("propertyChange", propertyName="dealstage", propertyValue="qualifiedtobuy"),
            message("propertyChange", propertyName="amount", propertyValue="7"),
        ],
        accounts={"990": "acme.com"},
    )
    assert [(one.op, one.record, one.data.get("action")) for one in found.facts] == [
        ("assert", "deal:990", "opportunity_created"),
        ("assert", "deal-closed:990", "lost"),
        ("assert", "deal-stage:990:qualifiedtobuy:2026-01-01T00:00:00Z", "stage_changed"),
        ("retract", "deal-closed:990", None),
    ]
    assert [reason for reason, _ in found.refused] == ["ignored"]
