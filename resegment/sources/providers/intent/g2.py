"""G2 and sites like it: signals that a company researches a product or a category."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, merge_attributes, objects
from resegment.sources.adapters.tables import Table

_LEVELS: Final = {
    "pricing": "high",
    "compare": "high",
    "comparison": "high",
    "alternatives": "high",
    "lead": "high",
    "profile": "medium",
    "reference": "medium",
    "category": "low",
    "sponsored": "low",
}
_SIGNALS: Final = listed(
    "signal_type, signal, event_type, type_of_signal, activity_type, intent_signal, page_type, Signal "
    "Type, type"
)


def _refine(record: Record, data: dict[str, Any]) -> None:
    """Add the level of the signal; the products that are compared are in `competitors`."""
    signal = (record.find_text(*_SIGNALS) or "").lower()
    if "level" not in data:
        data["level"] = next((level for word, level in _LEVELS.items() if word in signal), "medium")


SIGNAL: Final = Table(
    name="buyer intent signal",
    kind="intent",
    envelope=Envelope(
        record="signal",
        key=(
            "id|event_id|signal_id|@subject",
            "@time",
            "signal_type|signal|event_type|page_type",
            "product_name|product|product.name|category_name|category|category.name",
        ),
        known_as=listed("company_name, company.name, organization_name, company"),
        subject=listed(
            "company_domain, domain, company.domain, organization.domain, company_website, website, company "
            "domain, company.website, organization_domain"
        ),
        time=listed(
            "visited_at, occurred_at, time, timestamp, signal_date, event_time, last_seen_at, date, day, "
            "created_at"
        ),
        recorded=("created_at", "received_at"),
        utc=True,
        order="mdy",
    ),
    data={
        "topic": field(
            "text",
            "category_name, category.name, category, categories, product_name, product.name, product, "
            "products, topic",
        ),
        "product": field("text", "product_name, product.name, product, products, viewed_product"),
        "signal": field("term", *_SIGNALS),
        "competitors": field(
            "texts",
            "competitors, compared_products, comparison_products, alternatives, compared_product_names",
        ),
        "url": field("text", "url, page_url, tag_url"),
        "score": field("number", "score, activity_score, intent_score"),
        "stage": field("term", "buying_stage", "stage"),
        "level": field("term", "activity_level, intent_level, level"),
    },
    constants={"vendor": "g2"},
    required=("topic",),
    ignored=listed(
        "id, event_id, company_name, company, company_location, country, city, state, industry, "
        "employees, employee_count, company_size, visitor, user_location, attributes, organization, "
        "visit_count, ip, linkedin_url"
    ),
    refine=_refine,
)


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "data", "signals", "events", "results", "buyer_intent"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        flat = merge_attributes(one, "attributes")
        if "attributes" in one and isinstance(flat.get("type"), str) and not Record(one).has("signal_type"):
            flat.pop("type")  # the type of a JSON:API resource is no signal
        record = Record(flat)
        inner = record.records("signals", "events", "activities")
        if inner:
            outer = {key: value for key, value in flat.items() if not isinstance(value, list)}
            yield from ((SIGNAL, {**outer, **each.given}) for each in inner)
        elif record.has(*SIGNAL.data["topic"].paths, *_SIGNALS):
            yield SIGNAL, flat
        else:
            yield RefusedEvent("no-record", "no signal of a company is recognized")


ADAPTER: Final = Adapter(
    name="g2",
    title="G2",
    reads="buyer intent signals (JSON, JSON:API or CSV), and those of review sites with like fields",
    tables=(SIGNAL,),
    split=_split,
    notes="Signals for pricing, comparisons and alternatives are of the level `high`.",
)
