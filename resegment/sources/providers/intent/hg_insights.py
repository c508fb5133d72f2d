"""HG Insights: intent of companies for products and topics, and installed technologies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.shapes import ATTRIBUTES, COMPANY_NAMES
from resegment.sources.adapters.splitting import Pair, objects
from resegment.sources.adapters.tables import Table

_DOMAINS: Final = listed(
    "domain, company_domain, company.domain, company.url, url, website, companyUrl, account_domain"
)
_KNOWN: Final = listed("hg_id, hgid, company.id, company_id, company.name, company_name")


def _level(_: Record, data: dict[str, Any]) -> None:
    """Add the level of a score: over 84 is high, from 60 on medium."""
    score = data.get("score")
    if "level" not in data and isinstance(score, int | float):
        data["level"] = "high" if score > 84 else "medium" if score >= 60 else "low"


INTENT: Final = Table(
    name="intent topic",
    kind="intent",
    envelope=Envelope(
        record="intent",
        key=(
            "@subject",
            "topic_id|topic|topic_name|intent_topic|name",
            "@time",
        ),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=listed("last_seen_at, last_seen, date, signal_date"),
        utc=True,
    ),
    data={
        "topic": field("text", "topic, topic_name, intent_topic, name"),
        "score": field("number", "score", "intent_score"),
        "level": field("term", "signal_level", "level"),
        "trend": field("term", "trend"),
        "products": field("texts", "product_names", "products"),
        "vendors": field("texts", "vendor_names", "vendors"),
        "vendor": field("text", "vendor_names", "vendor"),
        "category": field("text", "category", "category_names"),
    },
    constants={"score_scale": 100},
    required=("topic",),
    ignored=listed("first_seen_at, company, id, attribute_names, topic_id, description"),
    refine=_level,
)
INSTALL: Final = Table(
    name="installed product",
    kind="tech",
    envelope=Envelope(
        record="install",
        key=("@subject", "product_id|product|product_name|name"),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=listed(
            "first_verified_at, first_verified, first_seen_at, firstDateVerified, first_date, "
            "date_first_verified, last_verified_at, last_verified, lastDateVerified"
        ),
        utc=True,
    ),
    data={
        "technology": field("technology", "product_name, product.name, product, name"),
        "vendor": field("text", "vendor_name, vendor.name, vendor"),
        "category": field("text", "category_name, category, product_category"),
        "score": field("number", "intensity", "intensity_score"),
    },
    constants={"change": "added"},
    required=("technology",),
    ignored=listed(
        "last_verified_at, last_verified, lastDateVerified, location, signal_count, company, product_id, "
        "vendor_id"
    ),
)
COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("hg_id|hgid|id|@subject",),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=("updated_at", "last_updated", "as_of"),
        utc=True,
        identity="snapshot",
    ),
    data={
        **ATTRIBUTES,
        "it_spend_usd": field("money", "it_spend, it_spend_usd, total_it_spend"),
    },
    ignored=listed("naics, sic, street, city, zip, phone, linkedin_url, ticker, fai, installs, intent"),
)


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "data", "results", "companies"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        record = Record(one)
        company = {key: value for key, value in one.items() if not isinstance(value, list)}
        topics = record.records("intent", "intents", "intent_topics", "topics", "signals")
        installs = record.records("technologies", "installs", "products", "technographics")
        for topic in topics:
            yield INTENT, {**company, **topic.given}
        for install in installs:
            yield INSTALL, {**company, **install.given}
        if topics or installs:
            continue
        if record.has("signal_level", "trend", "intent_score", "topic", "intent_topic") or record.has(
            "score"
        ):
            yield INTENT, one
        elif record.has(
            "product", "product_name", "first_verified", "firstDateVerified", "intensity", "first_verified_at"
        ):
            yield INSTALL, one
        elif record.find(*_DOMAINS, *COMPANY_NAMES) is not None:
            yield COMPANY, one
        else:
            yield RefusedEvent("no-record", "neither an intent topic, a product nor a company is recognized")


ADAPTER: Final = Adapter(
    name="hg-insights",
    title="HG Insights",
    reads="intent topics, installed products and companies (JSON or CSV)",
    tables=(INTENT, INSTALL, COMPANY),
    split=_split,
)
