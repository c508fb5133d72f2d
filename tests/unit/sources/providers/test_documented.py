"""Every field and type that a vendor's documentation names is mapped, or is listed as ignored."""

from __future__ import annotations

from typing import Any, Final

import pytest

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import Context, Remark
from resegment.sources.adapters.records import normalize_name
from resegment.sources.registry import find_adapter

FIELDS: Final = {
    "6sense": "company_intent_score, company_buying_stage, company_profile_fit",
    "bombora": "Company Name, Domain, Company Size, Company Revenue, Industry, Topic ID, Topic Name, Composite Score, Composite Score Delta, Date",
    "builtwith": "website_domain, epoch_secs, Lookup, technology, category, first_seen_utc",
    "common-room": "primaryEmail, title, previousTitle, organization, previousOrganization, organizationChangeDate",
    "coresignal": "member_id, status, changed_fields",
    "crunchbase": "uuid, funded_organization_identifier, investment_type, announced_on, money_raised, lead_investor_identifiers, investor_identifiers, deleted_at",
    "crunchbase-2013": (
        "company_permalink, company_name, company_category_code, funding_round_type, funded_at, funded_month, raised_amount_usd, permalink, name, category_code, "
        "funding_total_usd, status, country_code, founded_at, first_funding_at, last_milestone_at, acquirer_name, acquired_at, price_amount, price_currency_code"
    ),
    "formd": (
        "submissionType, cik, entityName, industryGroupType, revenueRange, dateOfFirstSale, totalOfferingAmount, totalAmountSold, relatedPersonsList, "
        "accessionNumber, previousAccessionNumber"
    ),
    "hg-insights": "name, score, signal_level, trend, last_seen_at, product_names, vendor_names",
    "hubspot": "eventId, occurredAt, subscriptionType, propertyName, propertyValue, objectId, changeSource, portalId, appId, attemptNumber",
    "peopledatalabs": "name, size, employee_count, industry, website, alternative_domains, latest_funding_stage, last_funding_date",
    "predictleads": (
        "effective_date, found_at, financing_type_normalized, financing_type, amount_normalized, amount, source_urls, summary, category, confidence, planning, "
        "first_seen_at, last_seen_at, score, behind_firewall, title, normalized_title, seniority, status, categories, location_data, url, record_state"
    ),
    "rb2b": "LinkedIn URL, Title, Company Name, Website, Industry, Employee Count, Seen At, Captured URL, Tags, First Name, Last Name, Business Email",
    "segment": "type, groupId, traits, messageId, timestamp, userId, anonymousId, event, properties, context, sentAt, receivedAt, originalTimestamp, channel, integrations",
    "tamradar": "update_id, update_type, record_id, discovered_at, data, content",
    "theirstack": (
        "id, type, payload, job_title, date_posted, discovered_at, reposted, company_domain, final_url, seniority, remote, technology_slugs, hiring_team, "
        "company_object, domain, employee_count, funding_stage, closed_at"
    ),
    "zoominfo": "topic, category, signalScore, audienceStrength, signalDate, company",
}
"""The fields of the records that each vendor documents."""

ENVELOPES: Final = {
    "builtwith": {"epoch_secs"},
    "formd": {"totalOfferingAmount"},
    "theirstack": {"type", "payload"},
}
"""Fields that are read where the records of a payload are found, or with several others: the fixtures show what they become."""

WHO: Final = {"at": 1_767_225_600_000, "account": "acme.com"}
TYPES: Final[dict[str, list[Any]]] = {
    "builtwith": [
        {"Results": [{"Lookup": "acme.com", "Changes": {"events": [{"type": kind, "technology": "Shopify", "first_seen_utc": "2026-01-01T00:00:00Z"}]}}]}
        for kind in ("technology_added", "technology_removed")
    ],
    "coresignal": [[{"member_id": 1, "status": status, "changed_fields": ["title"], "title": "CRO"}] for status in (
        "started_matching_query", "stopped_matching_query", "changed",
    )],
    "predictleads": [
        {"data": [{"id": "1", "type": kind, "attributes": {"found_at": "2026-01-01T00:00:00Z", "category": "launches", "summary": "x", "title": "AE", "first_seen_at": "2026-01-01T00:00:00Z", "technology": "Shopify"}}]}
        for kind in (
            "financing_event", "news_event", "technology_detection", "job_opening", "company", "connection", "github_repository", "product", "startup_post",
            "website_evolution",
        )
    ],
    "segment": [
        {"type": kind, "messageId": "1", "userId": "u", "event": "Signed Up", "groupId": "g", "previousId": "p", "timestamp": "2026-01-01T00:00:00Z", "traits": {"industry": "x"}}
        for kind in ("track", "page", "group", "identify", "screen", "alias")
    ],
    "tamradar": [
        {"update_id": "1", "update_type": kind, "record_id": "r", "discovered_at": "2026-01-01T00:00:00Z", "data": {"domain": "acme.com"}, "content": {}}
        for kind in ("radar_finding", "radar_failure")
    ],
    "theirstack": [
        {"id": "1", "type": kind, "payload": {"id": 1, "job_title": "AE", "company_domain": "acme.com", "domain": "acme.com", "discovered_at": "2026-01-01T00:00:00Z", "closed_at": "2026-01-02T00:00:00Z", "technology_slug": "x", "name": "x"}}
        for kind in ("job.new", "company.new", "tech.new", "job.closed")
    ],
    "hubspot": [
        [{"eventId": 1, "subscriptionType": kind, "occurredAt": 1767225600000, "objectId": 1, "propertyName": "industry", "propertyValue": "x"}]
        for kind in ("company.propertyChange", "company.creation", "company.deletion", "deal.propertyChange", "deal.creation", "deal.deletion", "contact.creation", "company.merge")
    ],
}  # fmt: skip
"""A payload of each type of event that each vendor documents."""


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_documented_field_is_mapped_or_ignored(name: str) -> None:
    adapter = find_adapter(name)
    known = frozenset().union(*(table.taken() for table in adapter.tables))
    ignored = {normalize_name(one) for one in adapter.ignored}
    wanted = [one.strip() for one in FIELDS[name].split(",")]
    found = known | ignored | {normalize_name(one) for one in ENVELOPES.get(name, ())}
    assert [one for one in wanted if normalize_name(one) not in found] == []


@pytest.mark.parametrize(
    ("name", "payload"), [(name, one) for name, payloads in TYPES.items() for one in payloads]
)
def test_each_documented_type_gives_events_or_is_ignored_with_a_reason(name: str, payload: Any) -> None:
    items = [
        one for one in find_adapter(name).convert(payload, Context(**WHO)) if not isinstance(one, Remark)
    ]
    assert items
    reasons = [one.reason for one in items if isinstance(one, RefusedEvent)]
    assert [one for one in reasons if one not in ("ignored", "no-value", "no-account")] == []


def test_a_plan_to_hire_is_no_hire() -> None:
    news = {
        "id": "1", "type": "news_event",
        "attributes": {"summary": "plans to hire a CRO", "category": "hires", "job_title": "CRO", "planning": True, "found_at": "2026-01-01T00:00:00Z"},
    }  # fmt: skip
    (event,) = find_adapter("predictleads").convert({"data": [news]}, Context(**WHO))
    assert isinstance(event, dict)
    assert (event["type"], event["data"]["theme"], event["data"]["planned"]) == (
        "gtm.strategy.v1",
        "hires",
        True,
    )
    done = {**news, "attributes": {**news["attributes"], "planning": False}}  # type: ignore[dict-item]
    (event,) = find_adapter("predictleads").convert({"data": [done]}, Context(**WHO))
    assert isinstance(event, dict)
    assert (event["type"], event["data"]["change"], event["data"]["role"]) == (
        "gtm.leadership.v1",
        "joined",
        "cro",
    )
