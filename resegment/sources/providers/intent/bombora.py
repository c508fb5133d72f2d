"""Bombora: weekly Company Surge reports, as CSV or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, objects
from resegment.sources.adapters.tables import Table

SURGING: Final = 60
"""From this score on, Bombora says that a company surges. 50 is the usual."""
_DOMAINS: Final = listed("Domain, company_domain, universal_domain, Company Domain, Website, Company URL")


def _level(record: Record, data: dict[str, Any]) -> None:
    score = data.get("score")
    if isinstance(score, int | float):
        data["level"] = "surging" if score >= SURGING else "normal"
    delta = record.find_text("Composite Score Delta", "Score Delta", "composite_score_delta", "delta")
    if delta is not None and delta.lstrip("+-").isdigit():
        data["trend"] = "up" if int(delta) > 0 else "down" if int(delta) < 0 else "flat"


SURGE: Final = Table(
    name="topic of a company",
    kind="intent",
    envelope=Envelope(
        record="surge",
        key=("@subject", "Topic ID|topic_id|Topic Name|topic_name|Intent Topic|Topic", "@time"),
        known_as=("Company Name", "company_name"),
        subject=_DOMAINS,
        time=listed(
            "Date, week, week_ending, week_of, date_stamp, Date Stamp, report_date, Report Date, run_date, "
            "as_of, event_date, Week Ending"
        ),
        order="mdy",
        utc=True,
    ),
    data={
        "topic": field("text", "Topic Name, topic_name, Intent Topic, Topic, name"),
        "score": field(
            "number",
            "Composite Score, composite_score, Topic Score, Surge Score, company_surge_score, score, Average "
            "Score",
        ),
        "score_delta": field("number", "Composite Score Delta, composite_score_delta, Score Delta, delta"),
        "topic_id": field("text", "Topic ID", "topic_id"),
        "cluster": field("text", "Cluster, Theme, cluster_name"),
    },
    constants={"score_scale": 100, "vendor": "bombora"},
    required=("topic",),
    ignored=listed(
        "Company Name, Company Size, Company Revenue, Industry, Sub-Industry, Country, Metro Area, Domain "
        "Origin, Domain Origin Composite, Metro Composite Score, State, Number of Unique Users, "
        "unique_users, Topic Count, Topic Count Delta, Threshold, Employee Range, company_name, Topic "
        "Theme, Household Income"
    ),
    refine=_level,
)


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "Message.Results", "results", "data", "companies"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        record = Record(one)
        outer = {key: value for key, value in one.items() if not isinstance(value, list)}
        topics = record.records("topics", "surge_topics", "intent_topics")
        if topics:
            for topic in topics:
                yield SURGE, {**outer, **topic.given}
        elif isinstance(record.find("topics"), list):
            yield from ((SURGE, {**outer, "topic": name}) for name in record.find("topics"))
        elif record.has(
            "Topic Name", "Topic", "Topic ID", "Intent Topic", "Composite Score", "composite_score"
        ):
            yield SURGE, one
        else:
            yield RefusedEvent("no-record", "no topic of a company is recognized")


ADAPTER: Final = Adapter(
    name="bombora",
    title="Bombora",
    reads="Company Surge reports (CSV or JSON)",
    tables=(SURGE,),
    split=_split,
    notes="Dates such as 11/21/2026 have the month first. A score of 60 and more is `surging`. The size, revenue and industry of the report "
    "are labels, and are left out.",
)
