"""BuiltWith: the live feed, the interface of changes, the interface of domains, and list exports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from publicsuffixlist import PublicSuffixList

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item, Remark
from resegment.sources.adapters.records import Record, as_list, as_text
from resegment.sources.adapters.splitting import Pair, ignored, objects, unknown
from resegment.sources.adapters.tables import Table

_FIELDS: Final = {
    "technology": field("technology", "technology, Name, channel_name, tech"),
    "category": field("text", "category, Categories, Tag"),
}
_KNOWN: Final = ("lookup", "domain", "website_domain")
CHANGE: Final = Table(
    name="change of a technology",
    kind="tech",
    envelope=Envelope(
        record="change",
        key=("@subject", "technology", "change", "@time"),
        known_as=_KNOWN,
        subject=("domain",),
        time=("at",),
        utc=True,
    ),
    data=_FIELDS,
    required=("technology",),
    ignored=("change",),
    refine=lambda record, data: data.update(change=record.find("change")),
)
DETECTED: Final = Table(
    name="technology of a domain",
    kind="tech",
    envelope=Envelope(
        record="technology",
        key=("@subject", "Name|technology"),
        known_as=_KNOWN,
        subject=("domain",),
        time=("FirstDetected", "first_detected", "first_seen_utc"),
        utc=True,
    ),
    data=_FIELDS,
    constants={"change": "added"},
    required=("technology",),
    ignored=listed("Link, Description, IsPremium, LastDetected, Parent"),
)
COMPANY: Final = Table(
    name="company of a domain",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("domain",),
        known_as=_KNOWN,
        subject=("domain",),
        time=("LastIndexed", "LastIndexDate", "last_indexed"),
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "CompanyName", "Company"),
        "industry": field("text", "Vertical"),
        "country": field("country", "Country"),
        "employees": field("count", "Employees"),
        "revenue_usd": field("money", "Sales Revenue USD", "Revenue"),
        "tech_spend_usd": field("money", "Technology Spend USD, Tech Spend USD, Spend"),
    },
    ignored=listed(
        "City, State, Postcode, Telephones, Emails, Names, Titles, Social, ARank, QRank, Tranco, Page "
        "Rank, Majestic, Umbrella, Location on Site, Compliance, Exclusion"
    ),
)


@cache
def _suffixes() -> PublicSuffixList:
    text = (
        resources.files("resegment.identity").joinpath("public_suffix_list.dat").read_text(encoding="utf-8")
    )
    return PublicSuffixList(text, accept_unknown=False)


def is_redacted(domain: str) -> bool:
    """Whether a domain was made unreadable, as in the trial: letters are replaced by x, the suffix too (`grxxt.cxm`)."""
    host = re.sub(r"^\w+://", "", domain.strip().lower()).partition("/")[0]
    return "x" in host and _suffixes().publicsuffix(host) is None


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "Results", "results"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        for item in _choose(one):
            if isinstance(item, tuple) and not isinstance(item, Remark):
                domain = str(item[1].get("domain") or "")
                if is_redacted(domain):
                    yield RefusedEvent(
                        "not-a-company",
                        f"the domain {domain[:60]!r} is redacted, as in a trial",
                        field="domain",
                    )
                    continue
            yield item


def _choose(one: Mapping[str, Any]) -> Iterator[Pair | Item]:
    record = Record(one)
    kind = (record.find_text("type") or "").lower()
    data = record.find("data")
    changes = record.records("Changes.events", "Changes", "changes.events", "events")
    lookup = record.find_text("Lookup", "domain", "Domain", "Root Domain", "Result.Domain")
    if kind and kind != "message" and not changes:
        if kind in (
            "ping",
            "pong",
            "subscribed",
            "welcome",
            "connected",
            "heartbeat",
            "info",
            "unsubscribed",
            "success",
        ):
            yield ignored(kind, "a message of the connection", "type")
        else:
            yield unknown(kind, "type")
    elif isinstance(data, Mapping) and record.has("channel", "type"):
        feed = Record(data)
        yield (
            CHANGE,
            {
                "domain": feed.find_text("website_domain", "domain"),
                "technology": feed.find("channel_name", "technology") or record.find("channel"),
                "change": "added",
                "at": feed.find("epoch_secs", "epoch", "timestamp"),
            },
        )
    elif changes:
        for change in changes:
            yield _change(change, lookup)
    elif record.has("Result", "Paths", "Technologies"):
        yield from _domain(record, lookup)
    elif lookup is not None:
        yield COMPANY, {**one, "domain": lookup}
    else:
        yield RefusedEvent("no-record", "neither a message of the feed, a change nor a domain is recognized")


def _change(change: Record, lookup: str | None) -> Pair | Item:
    word = (change.find_text("type", "event") or "").lower()
    how = "added" if "add" in word else "removed" if "remov" in word else None
    if how is None:
        return unknown(word or "a change without a type", "type")
    return CHANGE, {
        "domain": change.find_text("domain") or lookup,
        "technology": change.find("technology", "name"),
        "category": change.find("category", "categories"),
        "change": how,
        "at": change.find(
            *(
                ("first_seen_utc", "first_detected")
                if how == "added"
                else ("removed_utc", "last_seen_utc", "last_detected", "first_seen_utc")
            ),
            "date",
            "detected_utc",
        ),
    }


def _domain(record: Record, lookup: str | None) -> Iterator[Pair | Item]:
    """Find the technologies of a domain; one on several of its pages is named once, with its first day."""
    firsts: dict[str, Mapping[str, Any]] = {}
    for path in record.records("Result.Paths", "Paths") or [record]:
        domain = path.find_text("Domain") or lookup
        for one in as_list(path.find("Technologies")):
            if not isinstance(one, Mapping):
                continue
            technology = Record(one)
            name = as_text(technology.find("Name"))
            if name is None:
                continue
            known: Mapping[str, Any] | None = firsts.get(name)
            first, last = (
                technology.find("FirstDetected"),
                None if known is None else known.get("FirstDetected"),
            )
            if known is None or (isinstance(first, int) and isinstance(last, int) and first < last):
                firsts[name] = {**one, "domain": domain or lookup}
    for one in firsts.values():
        yield DETECTED, one
    meta = record.find("Meta")
    if isinstance(meta, Mapping) and Record(meta).find("CompanyName", "Vertical") is not None:
        yield COMPANY, {**meta, "domain": lookup, "LastIndexed": record.find("LastIndexed")}


ADAPTER: Final = Adapter(
    name="builtwith",
    title="BuiltWith",
    reads="messages of the live feed, responses of the change and domain interfaces, and list exports",
    tables=(CHANGE, DETECTED, COMPANY),
    split=_split,
    ignored={"ping, pong, subscribed": "messages of the connection"},
    notes="A redacted domain of a trial is refused. `LastDetected` alone is no removal: a technology is removed by a change of that type.",
)
