"""ZoomInfo: intent, scoops, news and companies, from the interface, webhooks and exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, normalize_name
from resegment.sources.adapters.splitting import Pair, ignored, merge_attributes, objects
from resegment.sources.adapters.tables import Table

_DOMAINS: Final = listed(
    "company.website, company.domain, website, companyWebsite, company_website, domain, Company "
    "Domain, company.url"
)
_KNOWN: Final = listed("company.id, companyId, company_id, company.name, companyName, Company Name, id, name")
_LEFT_OUT: Final = listed(
    "company, companyId, companyName, id, attributes, recommendedContacts, type, relationships, links"
)

INTENT: Final = Table(
    name="intent signal",
    kind="intent",
    envelope=Envelope(
        record="intent",
        key=(
            "@subject",
            "topic|topicName|Topic",
            "@time",
        ),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=listed("signalDate, signal_date, Signal Date, lastUpdatedDate"),
        utc=True,
        order="mdy",
    ),
    data={
        "topic": field("text", "topic, topicName, Topic"),
        "score": field("number", "signalScore, signal_score, Signal Score"),
        "level": field("term", "audienceStrength, audience_strength, Audience Strength"),
        "category": field("text", "category"),
    },
    constants={"score_scale": 100, "vendor": "zoominfo"},
    required=("topic",),
    ignored=_LEFT_OUT,
)
SCOOP: Final = Table(
    name="scoop",
    kind="strategy",
    envelope=Envelope(
        record="scoop",
        key=("scoopId|id",),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=listed("originalPublishedDate, publishedDate, scoopDate, published_date, date"),
        recorded=listed("lastUpdatedDate, lastModifiedDate, updatedDate, publishedDate, published_date"),
        utc=True,
    ),
    data={
        "theme": field(
            "term",
            "types.type, scoopTypes.type, types, scoopTypes, scoopType, topics, scoopTopics, scoopTopic",
        ),
        "topics": field("texts", "topics, scoopTopics, scoopTopic"),
        "statement": field("text", "description, title, summary"),
        "url": field("text", "linkUrl, link.url, link, url"),
        "department": field("texts", "department", "departments"),
    },
    ignored=(*_LEFT_OUT, "contacts", "linkText", "source"),
)
NEWS: Final = Table(
    name="news article",
    kind="strategy",
    envelope=Envelope(
        record="news",
        key=("id|url",),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=("pageDate", "page_date", "publishedDate"),
        utc=True,
    ),
    data={
        "theme": field("term", "categories", "category"),
        "statement": field("text", "title", "summary"),
        "url": field("text", "url"),
    },
    ignored=(*_LEFT_OUT, "domain", "imageUrl"),
)


def _thousands(record: Record, data: dict[str, Any]) -> None:
    """Read the revenue, which the interface gives in thousands of US dollars."""
    revenue = record.find("revenue")
    if (
        isinstance(revenue, int | float)
        and not isinstance(revenue, bool)
        and isinstance(data.get("revenue_usd"), int | float)
    ):
        data["revenue_usd"] = data["revenue_usd"] * 1000


COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        learns=("id", "companyId"),
        key=("id|companyId|ZoomInfo Company ID|@subject",),
        known_as=_KNOWN,
        subject=listed("website, companyWebsite, domain, Website, company.website, domainList"),
        time=("lastUpdatedDate", "last_updated_date", "Last Updated Date"),
        utc=True,
        order="mdy",
        identity="snapshot",
    ),
    data={
        "name": field("text", "name, companyName, Company Name"),
        "industry": field("text", "primaryIndustry, Primary Industry, industries, industry"),
        "subindustry": field("text", "primarySubIndustry", "Primary Sub-Industry"),
        "employees": field("count", "employeeCount, Employees, employeeRange, Employee Range"),
        "revenue_usd": field("money", "revenue, Revenue (in 000s USD), revenueRange"),
        "country": field("country", "country", "Company Country"),
        "region": field("text", "state", "Company State"),
        "technologies": field("technologies", "techAttributes", "technologies"),
        "growth_stage": field("term", "companyFunding.roundType", "recentFundingRound"),
    },
    ignored=(
        *_LEFT_OUT,
        *listed(
            "ticker, socialMediaUrls, competitors, ultimateParentId, ultimateParentName, parentId, sicCodes, "
            "naicsCodes, phone, fax, street, city, zipCode, continent, companyStatus, companyStatusDate, "
            "descriptionList, description, businessModel, companyFunding, foundedYear, "
            "numberOfContactsInZoomInfo, alexaRank, employeeGrowth, locationCount, metroArea, isDefunct, "
            "logo, departmentBudgets, oneYearEmployeeGrowthRate, twoYearEmployeeGrowthRate, certified, "
            "certificationDate, metaData, hashtags, products, recentFundingAmount, recentFundingDate, "
            "totalFundingAmount"
        ),
    ),
    refine=_thousands,
)
TECHNOLOGY: Final = Table(
    name="technology of a company",
    kind="tech",
    envelope=Envelope(
        record="technology",
        key=("@subject", "technologyId|product|name|technologyName"),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=listed("createdTime, created_time, firstSeen, modifiedTime"),
        utc=True,
    ),
    data={
        "technology": field("technology", "product, technologyName, technology"),
        "vendor": field("text", "vendor"),
        "category": field("text", "category", "categoryParent"),
    },
    constants={"change": "added"},
    required=("technology",),
    ignored=(*_LEFT_OUT, "domain", "logo", "description"),
)


_LISTS: Final = frozenset({"data", "intent", "scoops", "intents", "signals"})


def _split(payload: Any, context: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "data.result", "data", "result", "results"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        flat = merge_attributes(one, "attributes")
        record = Record(flat)
        inner = record.records("data", "intent", "scoops", "intents", "signals")
        if inner and not record.has("topic", "types", "description"):
            outer = {
                key: value
                for key, value in flat.items()
                if not isinstance(value, list) and normalize_name(key) not in _LISTS
            }
            company = {"company": outer} if record.has("website") and not record.has("company") else outer
            for each in inner:
                yield from _split({**company, **each.given}, context)
        else:
            yield from _choose(flat, record)


def _choose(flat: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    kind = (record.find_text("type") or "").lower()
    if kind == "intent" or record.has("signalScore", "audienceStrength", "Signal Score", "signal_score"):
        yield INTENT, flat
    elif kind == "scoop" or record.has(
        "scoopId", "scoopTypes", "scoopTopics", "originalPublishedDate", "scoopType"
    ):
        yield SCOOP, flat
    elif kind == "news" or record.has("pageDate", "page_date"):
        yield NEWS, flat
    elif kind == "contact" or record.has("firstName", "jobTitle", "First Name"):
        yield ignored("contact", "a contact is no account", "type")
    elif kind == "technology" or (record.has("product", "technologyName") and record.has("vendor")):
        yield TECHNOLOGY, flat
    elif record.has("website", "employeeCount", "companyWebsite", "Website", "Company Name"):
        yield COMPANY, flat
    else:
        yield RefusedEvent("no-record", "neither intent, a scoop, news nor a company is recognized")


ADAPTER: Final = Adapter(
    name="zoominfo",
    title="ZoomInfo",
    reads="intent, scoops, news, technologies and companies (JSON, JSON:API or CSV)",
    tables=(INTENT, SCOOP, NEWS, TECHNOLOGY, COMPANY),
    split=_split,
    ignored={"contact": "a contact is no account"},
    notes="A scoop that is updated is a new revision of the same fact. The revenue of the interface is in thousands of US dollars.",
)
