"""What the payloads of each provider become: kind, account, day, operation and the fields that tests of segments ask for."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.schemas.times import format_instant
from resegment.sources.adapters.port import Context
from resegment.sources.conversion import Source, convert_files
from resegment.sources.registry import find_adapter
from resegment.sources.state import SourceState
from tests.unit.sources.adapting import DATA, convert, convert_file, day, sort_out

AT = 1_767_225_600_000

CASES: list[tuple[str, str, dict[str, Any], list[tuple[str, str, str, dict[str, Any]]]]] = [
    ("salesforce", "salesforce-query.json", {}, [
        ("firmographic", "northwind.com", "2026-02-01", {"employees": 320, "revenue_usd": 42000000, "renewal_date": "2026-12-01"}),
        ("outcome", "northwind.com", "2026-01-05", {"action": "opportunity_created", "deal": "006A"}),
        ("outcome", "northwind.com", "2026-03-01", {"action": "won", "deal": "006A", "amount_usd": 50000}),
        ("outcome", "northwind.com", "2026-02-05", {"action": "opportunity_created", "deal": "006B"}),
    ]),
    ("salesforce", "salesforce-changes.jsonl", {"accounts": {"001A": "northwind.com"}}, [
        ("firmographic", "northwind.com", "2026-01-01", {"employees": 400}),
        ("outcome", "northwind.com", "2026-01-02", {"action": "opportunity_created"}),
        ("outcome", "northwind.com", "2026-01-03", {}),
        ("outcome", "northwind.com", "2026-01-03", {}),
    ]),
    ("salesforce", "salesforce-outbound.xml", {"accounts": {"001Q": "acme.com"}}, [
        ("outcome", "acme.com", "2026-01-01", {"action": "opportunity_created", "deal": "006Q"}),
        ("outcome", "acme.com", "2026-03-01", {"action": "lost", "amount_usd": 1200}),
    ]),
    ("segment", "segment-calls.json", {}, [
        ("engagement", "northwind.com", "2026-01-02", {"action": "demo_request", "url": "https://us.example/demo", "persona": "CFO"}),
        ("engagement", "northwind.com", "2026-01-02", {"action": "page_view", "url": "https://us.example/pricing"}),
        ("firmographic", "northwind.com", "2026-01-02", {"employees": 329, "industry": "Retail", "plan": "enterprise"}),
        ("firmographic", "northwind.com", "2026-01-02", {"employees": 330}),
    ]),
    ("rudderstack", "rudderstack-track.json", {}, [("engagement", "northwind.com", "2026-01-02", {"action": "product_signup", "person": "u1"})]),
    ("crunchbase", "crunchbase-search.json", {}, [
        ("funding", "northwind.com", "2026-01-10", {"round": "series_a", "amount": 10000000, "currency": "EUR", "amount_usd": 11650000, "lead_investors": ["Big Fund"]}),
        ("firmographic", "northwind.com", "2026-01-12", {"employees_min": 51, "employees_max": 100}),
        ("firmographic", "northwind.com", "2026-05-01", {"status": "acquired", "acquired_by": "Contoso"}),
    ]),
    ("crunchbase", "crunchbase-deleted.json", {"accounts": {"aaaa-1": "northwind.com"}}, [("funding", "northwind.com", "2026-02-01", {})]),
    ("crunchbase", "crunchbase-rounds.csv", {}, [
        ("funding", "northwind.com", "2026-06-01", {"round": "series_b", "amount": 20000000, "currency": "EUR", "amount_usd": 23000000, "investors": ["Big Fund", "Other VC"]}),
        ("funding", "fabrikam.com", "2026-06-02", {"round": "other"}),
    ]),
    ("crunchbase-2013", "crunchbase-2013-rounds.csv", {"accounts": {"/company/northwind": "northwind.com"}}, [
        ("funding", "northwind.com", "2012-06-30", {"round": "series_a", "amount_usd": 1750000}),
        ("funding", "northwind.com", "2013-06-30", {"round": "series_c"}),
        ("funding", "northwind.com", "2012-06-30", {"round": "series_a"}),
    ]),
    ("formd", "formd-filing.xml", {"accounts": {"0000000042": "northwind.com"}}, [
        ("funding", "northwind.com", "2026-01-15", {"round": "other", "amount_usd": 5000000, "submission": "D", "industry": "Other Technology"}),
    ]),
    ("predictleads", "predictleads-events.json", {}, [
        ("funding", "northwind.com", "2026-01-10", {"round": "series_a", "amount_usd": 12000000}),
        ("leadership", "northwind.com", "2026-02-01", {"change": "joined", "role": "cro", "person": "Jo Doe"}),
        ("strategy", "northwind.com", "2026-02-02", {"theme": "expands_offices_to"}),
        ("tech", "northwind.com", "2025-12-01", {"change": "added", "technology": "salesforce"}),
        ("hiring", "northwind.com", "2026-01-03", {"change": "opened", "job": "j-1", "function": "sales_ops"}),
        ("hiring", "northwind.com", "2026-02-03", {"change": "closed", "job": "j-1"}),
        ("funding", "northwind.com", "2026-01-12", {}),
    ]),
    ("theirstack", "theirstack-webhooks.jsonl", {}, [
        ("hiring", "northwind.com", "2026-01-10", {"change": "opened", "job": "42", "remote": True, "technologies": ["salesforce"]}),
        ("hiring", "northwind.com", "2026-01-10", {"job": "42"}),
        ("hiring", "northwind.com", "2026-03-01", {"change": "closed", "job": "42"}),
        ("firmographic", "northwind.com", "2026-01-11", {"employees": 120, "growth_stage": "series_a"}),
        ("tech", "northwind.com", "2026-01-05", {"change": "added", "technology": "hubspot"}),
    ]),
    ("builtwith", "builtwith-live.jsonl", {}, [("tech", "northwind.com", "2026-01-01", {"change": "added", "technology": "shopify"})]),
    ("builtwith", "builtwith-changes.json", {}, [
        ("tech", "northwind.com", "2026-01-05", {"change": "added", "technology": "hubspot"}),
        ("tech", "northwind.com", "2026-01-06", {"change": "removed", "technology": "marketo"}),
    ]),
    ("builtwith", "builtwith-domain.json", {}, [
        ("tech", "northwind.com", "2024-01-01", {"change": "added", "technology": "salesforce"}),
        ("firmographic", "northwind.com", "2026-01-01", {"industry": "Retail"}),
    ]),
    ("hg-insights", "hg-insights-intent.json", {}, [
        ("intent", "northwind.com", "2026-01-10", {"topic": "CRM", "score": 91, "level": "high", "trend": "up"}),
        ("intent", "northwind.com", "2026-01-10", {"topic": "Marketing Automation", "level": "medium"}),
        ("tech", "northwind.com", "2025-05-01", {"technology": "slack", "vendor": "Salesforce"}),
    ]),
    ("bombora", "bombora-surge.csv", {}, [
        ("intent", "northwind.com", "2026-11-21", {"topic": "Customer Relationship Management (CRM)", "score": 82, "level": "surging", "trend": "up"}),
        ("intent", "northwind.com", "2026-11-14", {"topic": "CRM Software", "score": 55, "level": "normal"}),
    ]),
    ("g2", "g2-signals.json", {}, [
        ("intent", "northwind.com", "2026-01-10", {"topic": "CRM", "product": "Our CRM", "level": "high"}),
        ("intent", "northwind.com", "2026-01-11", {"signal": "comparison", "competitors": ["Our CRM", "Their CRM"]}),
    ]),
    ("zoominfo", "zoominfo-intent.json", {}, [("intent", "northwind.com", "2026-01-10", {"topic": "CRM", "score": 88, "level": "b"})]),
    ("zoominfo", "zoominfo-scoops.json", {}, [("strategy", "northwind.com", "2026-01-01", {"theme": "project", "statement": "Northwind plans a CRM project"})]),
    ("zoominfo", "zoominfo-companies.csv", {}, [("firmographic", "northwind.com", "2026-01-05", {"employees": 320, "country": "Germany"})]),
    ("6sense", "6sense-company.json", {"at": AT}, [
        ("intent", "northwind.com", "2026-01-01", {"topic": "crm", "score": 81, "stage": "decision", "fit": "strong", "qualified": True}),
        ("firmographic", "northwind.com", "2026-01-01", {"employees_min": 500, "employees_max": 999}),
    ]),
    ("common-room", "common-room-webhook.json", {}, [
        ("leadership", "fabrikam.com", "2026-01-10", {"change": "joined", "role": "vp_sales", "previous_company": "Northwind"}),
        ("leadership", "northwind.com", "2026-01-10", {"change": "left"}),
    ]),
    ("rb2b", "rb2b-visit.json", {}, [
        ("engagement", "northwind.com", "2024-01-01", {"action": "page_view", "url": "https://us.example/pricing", "persona": "CFO"}),
        ("firmographic", "northwind.com", "2024-01-01", {"employees_min": 51, "revenue_max_usd": 10000000}),
    ]),
    ("coresignal", "coresignal-webhook.json", {"accounts": {"11": "northwind.com"}}, [("leadership", "northwind.com", "2026-01-10", {"change": "joined", "role": "cro"})]),
    ("coresignal", "coresignal-company.json", {}, [("firmographic", "northwind.com", "2026-01-09", {"employees": 120, "technologies": ["salesforce"]})]),
    ("coresignal", "coresignal-jobs.json", {}, [
        ("hiring", "northwind.com", "2026-01-01", {"change": "opened", "function": "sales"}),
        ("hiring", "northwind.com", "2026-02-01", {"change": "closed"}),
    ]),
    ("tamradar", "tamradar-webhooks.jsonl", {}, [
        ("funding", "northwind.com", "2026-01-10", {"round": "series_b", "amount_usd": 30000000}),
        ("leadership", "northwind.com", "2026-01-12", {"change": "joined", "role": "cro"}),
        ("hiring", "northwind.com", "2026-01-12", {"change": "opened", "function": "sales_ops"}),
        ("funding", "northwind.com", "2026-01-10", {"round": "series_b"}),
    ]),
    ("peopledatalabs", "peopledatalabs-company.json", {"at": AT}, [
        ("firmographic", "northwind.com", "2026-01-01", {"employees_min": 51, "employees_max": 200, "country": "germany", "growth_stage": "series_a"}),
    ]),
    ("clay", "clay-leaders.csv", {}, [
        ("leadership", "northwind.com", "2026-10-01", {"change": "joined", "role": "cro", "person": "Jo Doe"}),
        ("leadership", "fabrikam.com", "2026-10-20", {"role": "vp_sales"}),
        ("leadership", "fabrikam.com", "2026-10-21", {"role": "unknown"}),
    ]),
    ("clay", "clay-companies.csv", {}, [("firmographic", "northwind.com", "2026-01-05", {"employees": 1250, "uses_slack": "yes"})]),
    ("debezium", "debezium-rows.jsonl", {}, [
        ("firmographic", "northwind.com", "2026-01-01", {"employees": 120, "tier": "A"}),
        ("firmographic", "northwind.com", "2026-01-02", {"employees": 150}),
    ]),
    ("kafka-connect", "kafka-connect-row.json", {}, [("firmographic", "northwind.com", "2026-01-01", {"renewal": "2026-01-01", "spend": 12.34})]),
    ("singer", "singer-messages.jsonl", {}, [
        ("firmographic", "northwind.com", "2026-01-01", {"employees": 85}),
        ("firmographic", "fabrikam.com", "2026-01-02", {"industry": "Retail", "employees": 10}),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "context", "expected"), CASES, ids=[case[1] for case in CASES])
def test_the_payload_becomes(
    name: str, file: str, context: dict[str, Any], expected: list[tuple[str, str, str, dict[str, Any]]]
) -> None:
    facts = convert_file(name, file, **context).facts
    assert [(one.kind, one.account, day(one)) for one in facts] == [case[:3] for case in expected]
    for fact, (_, _, _, data) in zip(facts, expected, strict=True):
        assert {name: fact.data.get(name) for name in data} == data


@pytest.mark.parametrize(
    ("name", "file", "context", "reasons"),
    [
        ("salesforce", "salesforce-query.json", {}, ["ignored"]),
        ("segment", "segment-calls.json", {}, ["ignored", "ignored", "not-a-company"]),
        ("crunchbase", "crunchbase-search.json", {}, ["no-account", "ignored"]),
        ("formd", "formd-filing.xml", {}, ["no-account"]),
        ("predictleads", "predictleads-events.json", {}, ["ignored"]),
        ("theirstack", "theirstack-webhooks.jsonl", {}, ["unknown-type"]),
        ("builtwith", "builtwith-live.jsonl", {}, ["not-a-company", "ignored"]),
        ("6sense", "6sense-company.json", {}, ["no-time", "no-time"]),
        ("peopledatalabs", "peopledatalabs-company.json", {}, ["no-time"]),
        ("coresignal", "coresignal-webhook.json", {}, ["no-account", "no-account", "unknown-type"]),
        ("tamradar", "tamradar-webhooks.jsonl", {}, ["ignored"]),
        ("debezium", "debezium-rows.jsonl", {}, ["ignored", "ignored"]),
        ("singer", "singer-messages.jsonl", {}, ["ignored", "ignored"]),
    ],
)
def test_what_gives_no_event_is_refused_with_a_reason(
    name: str, file: str, context: dict[str, Any], reasons: list[str]
) -> None:
    assert [reason for reason, _ in convert_file(name, file, **context).refused] == reasons


def test_a_deletion_withdraws_the_round_of_its_id_after_it_became_known() -> None:
    (told,) = convert_file(
        "crunchbase", "crunchbase-deleted.json", accounts={"aaaa-1": "northwind.com"}
    ).facts
    first = convert_file("crunchbase", "crunchbase-search.json").facts[0]
    assert (told.op, told.record, told.source) == ("retract", first.record, first.source)
    assert told.recorded > first.recorded


def test_a_round_that_changed_is_a_new_revision_of_the_same_fact() -> None:
    made = {
        "uuid": "r-1",
        "announced_on": "2026-01-01",
        "investment_type": "seed",
        "website_url": "acme.com",
        "money_raised": {"value": 1, "currency": "USD"},
    }
    (old,) = convert("crunchbase", {**made, "updated_at": "2026-01-02T00:00:00Z"}).facts
    (new,) = convert(
        "crunchbase", {**made, "investment_type": "series_a", "updated_at": "2026-01-03T00:00:00Z"}
    ).facts
    (back,) = convert("crunchbase", {**made, "updated_at": "2026-01-04T00:00:00Z"}).facts
    assert old.record == new.record == back.record
    assert len({old.id, new.id, back.id}) == 3
    assert [format_instant(one.recorded)[:10] for one in (old, new, back)] == [
        "2026-01-02",
        "2026-01-03",
        "2026-01-04",
    ]


def test_an_amendment_of_form_d_revises_the_filing_that_it_names() -> None:
    filing = {
        "submissionType": "D",
        "accessionNumber": "0001-26-1",
        "cik": "42",
        "filingDate": "2026-01-20",
        "dateOfFirstSale": "2026-01-15",
        "totalAmountSold": "5",
    }
    amended = {
        **filing,
        "submissionType": "D/A",
        "accessionNumber": "0001-26-9",
        "previousAccessionNumber": "0001-26-1",
        "filingDate": "2026-03-01",
        "totalAmountSold": "9",
    }
    (old,) = convert("formd", filing, accounts={"42": "acme.com"}).facts
    (new,) = convert("formd", amended, accounts={"42": "acme.com"}).facts
    assert old.record == new.record
    assert new.recorded > old.recorded
    assert new.data["amount_usd"] == 9


def test_a_delivery_that_is_sent_again_under_another_id_is_the_same_event() -> None:
    facts = convert_file("theirstack", "theirstack-webhooks.jsonl").facts
    assert facts[0] == facts[1]
    findings = convert_file("tamradar", "tamradar-webhooks.jsonl").facts
    assert findings[0] == findings[-1]


def test_epoch_seconds_and_milliseconds_of_one_vendor_are_both_read() -> None:
    def change(epoch: int) -> str:
        message = {
            "type": "message",
            "channel": "X",
            "data": {"channel_name": "X", "website_domain": "acme.com", "epoch_secs": epoch},
        }
        return day(convert("builtwith", message).only())

    assert change(1767225600) == change(1767225600000) == "2026-01-01"


def test_a_new_title_at_the_same_company_is_a_promotion() -> None:
    member = {
        "id": "m",
        "title": "CRO",
        "previousTitle": "VP Sales",
        "organization": {"name": "Acme", "domain": "acme.com"},
        "titleChangeDate": "2026-01-01",
    }
    fact = convert("common-room", {"payload": {**member, "previousOrganization": {"name": "ACME"}}}).only()
    assert (fact.data["change"], fact.data["role"]) == ("promoted", "cro")


def test_a_company_that_crunchbase_deleted_stays() -> None:
    gone = {"uuid": "org-1", "entity_def_id": "organization", "deleted_at": "2026-01-01T00:00:00Z"}
    assert convert("crunchbase", gone, account="acme.com").refused == [("ignored", "deleted_at")]


def test_the_ids_of_one_file_are_known_in_the_next_one(tmp_path: Any) -> None:
    file = tmp_path / "deals.json"
    file.write_text(
        '[{"Id": "006Z", "AccountId": "001A", "StageName": "Prospecting", "CreatedDate": "2026-01-01T00:00:00Z"}]'
    )
    state = SourceState()
    for path in (str(DATA / "salesforce-query.json"), str(file)):
        found = sort_out(
            item for _, _, item in convert_files([path], Source(find_adapter("salesforce"), state=state))
        )
    assert found.only().account == "northwind.com"


@pytest.mark.parametrize(
    ("name", "payload", "data"),
    [
        ("salesforce", {"Id": "1", "Website": "acme.com", "AnnualRevenue": 5, "CurrencyIsoCode": "EUR", "LastModifiedDate": "2026-01-01"}, {"revenue": 5, "currency": "EUR"}),
        ("segment", {"type": "group", "groupId": "acme.com", "messageId": "1", "timestamp": "2026-01-01T00:00:00Z", "traits": {"employees": "51-200"}}, {"employees_min": 51}),
        ("crunchbase", {"properties": {"identifier": {"uuid": "1"}, "announced_on": {"value": "2026-01-01", "precision": "month"}, "investment_type": "seed"}, "website_url": "acme.com"}, {"date_precision": "month"}),
        ("zoominfo", {"id": 7, "website": "acme.com", "revenue": 12000, "lastUpdatedDate": "2026-01-01", "employeeCount": 5}, {"revenue_usd": 12000000}),
        ("zoominfo", {"data": [{"id": 1, "scoopTypes": [{"id": 4, "type": "Personnel Moves"}], "publishedDate": "2026-01-02", "company": {"website": "acme.com"}}]}, {"theme": "personnel_moves"}),
        ("peopledatalabs", {"website": "acme.com", "size": "10001+", "last_updated": "2026-01-01"}, {"employees_min": 10001}),
        ("theirstack", {"data": [{"id": 1, "job_title": "AE", "date_posted": "2026-01-01", "company_object": {"domain": "acme.com"}}]}, {"job": "1", "function": "sales"}),
        ("clay", {"Work Email": "jo@acme.com", "Full Name": "Jo", "Title": "VP Sales", "Start Date": "Jan 5, 2026"}, {"role": "vp_sales"}),
        ("g2", {"company": {"domain": "acme.com"}, "category": {"name": "CRM"}, "event_type": "Category Page", "time": 1767225600}, {"topic": "CRM", "level": "low"}),
        ("bombora", {"Message": {"Results": [{"Domain": "acme.com", "Date": "2026-01-01", "Topics": [{"Name": "CRM", "Score": 70}]}]}}, {"topic": "CRM", "level": "surging"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_other_shapes_of_the_same_payload_are_read(
    name: str, payload: dict[str, Any], data: dict[str, Any]
) -> None:
    fact = convert(name, payload).facts[0]
    assert fact.account == "acme.com"
    assert {name: fact.data.get(name) for name in data} == data


def test_a_field_that_a_change_event_lists_as_emptied_clears_the_attribute() -> None:
    header = {"entityName": "Account", "recordIds": ["1"], "changeType": "UPDATE", "commitTimestamp": 1767225600000, "nulledFields": ["Industry", "Tier__c", "Phone"]}  # fmt: skip
    fact = convert(
        "salesforce", {"ChangeEventHeader": header, "NumberOfEmployees": 7}, account="acme.com"
    ).only()
    assert fact.data == {"employees": 7, "industry": None, "tier": None}


@pytest.mark.parametrize(
    ("row", "waits"),
    [
        ({"AccountId": "001", "Id": "006", "StageName": "Prospecting", "CreatedDate": "2026-01-01"}, "salesforce:001"),
        ({"Account Name": "Acme", "Opportunity ID": "006", "Stage": "Prospecting", "Created Date": "2026-01-01"}, "name:Acme"),
    ],
)  # fmt: skip
def test_an_opportunity_waits_for_its_account_and_not_for_itself(row: dict[str, Any], waits: str) -> None:
    found = find_adapter("salesforce").convert(row, Context(unresolved=True))
    assert [one["subject"] for one in found if isinstance(one, dict)] == [waits]


def test_data_of_an_event_may_be_json_in_a_cell() -> None:
    event = {
        "id": "1",
        "source": "/x",
        "type": "gtm.firmographic.v1",
        "subject": "acme.com",
        "time": "2026-01-01",
    }
    fact = convert("events", {**event, "data": '{"employees": "51-200"}'}).only()
    assert fact.data["employees_min"] == 51


def test_the_account_that_is_said_holds_for_ids_but_not_for_mailboxes() -> None:
    call = {"type": "track", "event": "Signed Up", "messageId": "1", "timestamp": "2026-01-01T00:00:00Z"}
    assert convert("segment", {**call, "userId": "u-1"}, account="acme.com").only().account == "acme.com"
    assert convert("segment", {**call, "userId": "jo@gmail.com"}, account="acme.com").refused == [
        ("not-a-company", "userId")
    ]


def test_a_closed_job_that_names_its_id_alone_is_that_of_the_company_that_opened_it(tmp_path: Any) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"id": "1", "type": "job.new", "payload": {"id": 5, "job_title": "AE", "date_posted": "2026-01-01", "company_domain": "acme.com"}}\n'
        '{"id": "2", "type": "job.closed", "payload": {"id": 5, "closed_at": "2026-02-01T00:00:00Z"}}\n'
    )
    facts = convert_file("theirstack", file).facts
    assert [(one.account, one.data["change"]) for one in facts] == [
        ("acme.com", "opened"),
        ("acme.com", "closed"),
    ]
