"""TAMradar: findings of radars, as webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.fact import Kind
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import Field, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.adapters.tables import Table

_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    ("fund", "funding"),
    ("job_opening", "hiring"),
    ("job_post", "hiring"),
    ("jobs", "hiring"),
    ("hiring", "hiring"),
    ("new_hire", "leadership"),
    ("promotion", "leadership"),
    ("job_change", "leadership"),
    ("departure", "leadership"),
    ("champion", "leadership"),
    ("tech", "tech"),
    ("headcount", "firmographic"),
    ("employee_count", "firmographic"),
    ("intent", "intent"),
)
"""Words in the type of a radar, and the kind of its findings. Any other finding is `strategy`."""


def _at(*names: str) -> tuple[str, ...]:
    return tuple(f"{place}.{name}" for name in names for place in ("content", "data")) + names


_DATA: Final[dict[Kind, dict[str, Field]]] = {
    "funding": {"round": field("round", *_at("round", "round_type", "funding_type", "funding_round", "stage")), "amount": field("price", *_at("amount", "amount_raised", "funding_amount", "money_raised")), "amount_usd": field("number", *_at("amount_usd")), "investors": field("texts", *_at("investors"))},
    "hiring": {"job": field("text", *_at("job_id"), "record_id"), "title": field("job", *_at("job_title", "title", "position")), "location": field("text", *_at("location")), "url": field("text", *_at("url", "job_url"))},
    "leadership": {"title": field("leader", *_at("new_title", "job_title", "title", "position")), "person": field("text", *_at("full_name", "person_name", "name", "profile_url")), "previous_company": field("text", *_at("previous_company"))},
    "tech": {"technology": field("technology", *_at("technology", "technology_name", "name"))},
    "intent": {"topic": field("text", *_at("topic", "keyword")), "score": field("number", *_at("score"))},
    "firmographic": {"employees": field("count", *_at("employee_count", "employees", "headcount", "current_headcount")), "industry": field("text", *_at("industry"))},
    "strategy": {"theme": field("term", *_at("category", "theme", "topic"), "radar_type"), "statement": field("text", *_at("summary", "text", "headline", "title", "description")), "url": field("text", *_at("url", "link", "source_url", "post_url"))},
}  # fmt: skip


def _change(record: Record, data: dict[str, Any]) -> None:
    """Add what changed, by the words in the type of the radar."""
    words = " ".join(
        filter(
            None,
            (
                record.find_text("radar_type", "data.radar_type"),
                record.find_text("content.type", "content.change", "content.change_type"),
            ),
        )
    ).lower()
    if "title" in data and "role" in data:
        data["change"] = (
            "promoted" if "promot" in words else "left" if "depart" in words or "left" in words else "joined"
        )
    elif "job" in data or "function" in data:
        data["change"] = "closed" if "closed" in words else "opened"
    elif "technology" in data:
        data["change"] = "removed" if "remov" in words else "added"


def _table(kind: Kind) -> Table:
    return Table(
        name=f"finding ({kind})",
        kind=kind,
        envelope=Envelope(
            record="finding",
            key=("record_id|update_id",),
            known_as=("data.company_name", "content.company_name"),
            subject=listed(
                "data.domain, data.company_domain, content.domain, content.company_domain, domain, data.email, "
                "data.website"
            ),
            time=listed(
                "content.occurred_at, content.announced_at, content.announced_on, content.date, "
                "content.published_at, content.posted_at, discovered_at"
            ),
            recorded=("discovered_at",),
            utc=True,
        ),
        data=_DATA[kind],
        ignored=listed(
            "update_id, update_type, radar_id, data, content, custom_fields, api_version, webhook_id"
        ),
        refine=_change,
    )


_TABLES: Final = {kind: _table(kind) for kind in _DATA}
_CONTROL: Final = listed(
    "radar_failure, radar_created, radar_activated, radar_deactivated, radar_deleted, radar_updated, "
    "radar_status, radar_completed, radar_paused, test, ping, batch_completed"
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    update = (record.find_text("update_type", "type") or "").lower()
    if update in _CONTROL:
        yield ignored(update, "a message about the radar itself", "update_type")
    elif update not in ("radar_finding", "finding"):
        yield unknown(update or "a message without a type", "update_type")
    else:
        yield _TABLES[_kind(record)], one


def _kind(record: Record) -> Kind:
    words = (
        (
            record.find_text(
                "radar_type",
                "data.radar_type",
                "content.radar_type",
                "content.type",
                "data.type",
                "finding_type",
            )
            or ""
        )
        .lower()
        .replace("-", "_")
        .replace(" ", "_")
    )
    for word, kind in _KINDS:
        if word in words:
            return kind
    if not words:
        shapes: tuple[tuple[Kind, tuple[str, ...]], ...] = (
            (
                "funding",
                ("content.round", "content.round_type", "content.funding_type", "content.amount_raised"),
            ),
            ("leadership", ("content.new_title", "content.person_name", "content.previous_company")),
            ("hiring", ("content.job_title", "content.job_url", "content.job_id")),
            ("tech", ("content.technology", "content.technology_name")),
        )
        return next((kind for kind, paths in shapes if record.has(*paths)), "strategy")
    return "strategy"


ADAPTER: Final = Adapter(
    name="tamradar",
    title="TAMradar",
    reads="webhooks",
    tables=tuple(_TABLES.values()),
    split=split_by(_choose, "updates"),
    ignored=dict.fromkeys(_CONTROL, "a message about the radar itself"),
    notes="The record is `record_id`: a message that is delivered again under another `update_id` is the same fact. The type of the radar decides the kind.",
)
