"""Turn the public directory of Y Combinator companies (a snapshot and later changes) into trigger events.

How the adapter reads the directory:

- The directory is observed from time to time, so a change shows on the day of the next observation. That day is both
  `time` and `recordedtime` of the fact: an upper bound, so a replay never knows a fact before it was seen. The day of
  the previous observation is in the data as `observed_since`. A day means its first instant in UTC.
- An account has the attributes of the company that holds its domain. Each fact has only the attributes that changed,
  so a different wording for the same value makes no event.
- The directory says that a company hires, but not for which job: a change of that flag is a hiring fact with the
  function `unspecified` and no title. A company that hires when first seen has the attribute `hiring`, but no
  opening.
- A domain belongs to the first company that claims it, until that company leaves it. A company whose new website is
  not its own domain (blank, on a shared host, another company's) keeps its last domain. A company that moves leaves
  `status: moved` and `moved_to` behind. A company that is dropped from the directory leaves `status: delisted`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from resegment.errors import RefusedEvent
from resegment.identity.domains import SharedHost, registrable_domain
from resegment.schemas.vocabulary import normalize_term
from resegment.sources.providers.yc_rows import (
    SNAPSHOT_DAY,
    MalformedRow,
    Observation,
    Row,
    dated,
    lines_of,
    observation,
    whole_company,
)

Event = dict[str, Any]
NoAccount = Literal["without_website", "unusable_website", "shared_host", "shared_with_another"]

SOURCE: Final = "/yc/directory"

# The directory renamed these in one day for thousands of companies. The others only need one spelling.
_INDUSTRIES: Final = {
    "B2B": "b2b_software",
    "B2B Software and Services": "b2b_software",
    "Financial Technology": "fintech",
    "Real Estate and Construction": "real_estate",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What the adapter made of the directory.

    Every company is either `placed` (it had an account at some time) or counted under the reason why it never had
    one. Every event is either firmographic or hiring.
    """

    companies: int
    placed: int
    without_website: int
    unusable_website: int
    shared_host: int
    shared_with_another: int
    accounts: int
    moved: int
    """How often a company moved to another domain."""
    kept_domain: int
    """How often a company kept its last domain because its new website was not its own domain."""
    relabelled: int
    """Changes of wording of an industry or subindustry that mean the same."""
    events: int
    firmographic: int
    hiring: int


class _Site(NamedTuple):
    domain: str
    website: str


def read(snapshot: Iterable[Row], changes: Iterable[Row]) -> Generator[Event, None, Counts]:
    """Yield the events in the order in which they became known, and return the counts.

    `changes` are in the order of their days. Raises `MalformedRow`.
    """
    directory = _Directory()
    first = [whole_company("snapshot", number, row, None) for number, row in enumerate(snapshot, 1)]
    yield from directory.observe(SNAPSHOT_DAY, first)
    for day, rows in groupby(dated(changes), key=lambda dated: dated[0]):
        yield from directory.observe(day, [observation(number, row) for _, number, row in rows])
    return directory.counts()


def read_files(snapshot: Path, changes: Path) -> tuple[list[Event], Counts]:
    """Read both gzipped JSON-lines files. Raises `MalformedRow`, or OSError if a file cannot be read."""
    reading = read(lines_of("snapshot", snapshot), lines_of("changes", changes))
    events: list[Event] = []
    while True:
        try:
            events.append(next(reading))
        except StopIteration as end:
            counts: Counts = end.value
            return events, counts


class _Directory:
    """The state of the directory so far: its companies and their accounts."""

    def __init__(self) -> None:
        self._companies: dict[int, dict[str, Any]] = {}
        self._seen: set[int] = set()
        self._sites: dict[int, _Site] = {}
        self._holders: dict[str, int] = {}
        self._placed: set[int] = set()
        self._refused: dict[int, NoAccount] = {}
        self._published: dict[str, dict[str, Any]] = {}
        self._tally: Counter[str] = Counter()

    def observe(self, day: str, observations: list[Observation]) -> Iterator[Event]:
        """Process all observations of one day together, so that an account has one snapshot a day."""
        since = {seen.company: seen.since for seen in observations}
        hired = {
            company: self._companies[company]["isHiring"] for company in since if company in self._companies
        }
        for seen in observations:
            self._apply(seen)
        left = self._settle(since)
        for old, company, notice in left:
            if old.domain not in self._holders:
                yield from self._firmographic(day, old, notice, since[company])
        for company, looked_before in since.items():
            site = self._sites.get(company)
            if site is None:
                continue
            attributes = self._attributes(company)
            yield from self._firmographic(day, site, attributes, looked_before)
            if attributes["hiring"] != hired.get(company, attributes["hiring"]):
                data = {"change": "opened" if attributes["hiring"] else "closed", "function": "unspecified"}
                yield self._event(day, site, "hiring", data, looked_before)

    def counts(self) -> Counts:
        never = Counter(self._refused[company] for company in self._seen - self._placed)
        return Counts(
            companies=len(self._seen),
            placed=len(self._placed),
            without_website=never["without_website"],
            unusable_website=never["unusable_website"],
            shared_host=never["shared_host"],
            shared_with_another=never["shared_with_another"],
            accounts=len(self._published),
            moved=self._tally["moved"],
            kept_domain=self._tally["kept_domain"],
            relabelled=self._tally["relabelled"],
            events=self._tally["firmographic"] + self._tally["hiring"],
            firmographic=self._tally["firmographic"],
            hiring=self._tally["hiring"],
        )

    def _apply(self, seen: Observation) -> None:
        if seen.whole:
            self._seen.add(seen.company)
            self._companies[seen.company] = dict(seen.fields or {})
            return
        if seen.company not in self._companies:
            raise MalformedRow(
                "changes", seen.row, "id", f"company {seen.company} is not in the directory then"
            )
        if seen.fields is None:
            del self._companies[seen.company]
            return
        before = self._companies[seen.company]
        after = {**before, **seen.fields}
        if "industry" in seen.fields and _industry(after) == _industry(before):
            self._tally["relabelled"] += 1
        if "subindustry" in seen.fields and _subindustry(after) == _subindustry(before):
            self._tally["relabelled"] += 1
        self._companies[seen.company] = after

    def _settle(self, companies: Iterable[int]) -> list[tuple[_Site, int, dict[str, Any]]]:
        """Decide which company holds which domain. Return each site that was left, its company, and the notice there."""
        left: list[tuple[_Site, int, dict[str, Any]]] = []
        waiting: dict[int, _Site] = {}
        for company in companies:
            if company not in self._companies:
                site = self._sites.pop(company, None)
                if site is not None:
                    del self._holders[site.domain]
                    left.append((site, company, {"status": "delisted"}))
                continue
            wanted = _site(self._companies[company]["website"])
            if isinstance(wanted, _Site):
                waiting[company] = wanted
            else:
                self._refuse(company, wanted)
        # A company that moves out frees its domain for another one: repeat until no company can move.
        moved = True
        while moved:
            moved = False
            for company, wanted in list(waiting.items()):
                if self._holders.get(wanted.domain, company) != company:
                    continue
                del waiting[company]
                old = self._sites.get(company)
                self._sites[company] = wanted
                self._holders[wanted.domain] = company
                self._placed.add(company)
                self._refused.pop(company, None)
                if old is not None and old.domain != wanted.domain:
                    moved = True
                    self._tally["moved"] += 1
                    del self._holders[old.domain]
                    left.append((old, company, {"status": "moved", "moved_to": wanted.domain}))
        for company in waiting:
            self._refuse(company, "shared_with_another")
        return left

    def _refuse(self, company: int, reason: NoAccount) -> None:
        if company in self._sites and self._refused.get(company) != reason:
            self._tally["kept_domain"] += 1
        self._refused[company] = reason

    def _attributes(self, company: int) -> dict[str, Any]:
        row = self._companies[company]
        stage = row.get("stage")
        return {
            "name": row["name"],
            "industry": _industry(row),
            "industry_raw": row["industry"],
            "subindustry": _subindustry(row),
            "employees": row["team_size"],
            "growth_stage": normalize_term(stage) if stage else None,
            "status": normalize_term(row["status"]),
            "hiring": row["isHiring"],
            "batch": row["batch"],
            "top_company": row["top_company"],
            "moved_to": None,
        }

    def _firmographic(
        self, day: str, site: _Site, attributes: dict[str, Any], since: str | None
    ) -> Iterator[Event]:
        published = self._published.setdefault(site.domain, {})
        news = {name: value for name, value in attributes.items() if published.get(name) != value}
        if "industry" not in news:
            news.pop("industry_raw", None)
        if news:
            published.update(news)
            yield self._event(day, site, "firmographic", news, since)

    def _event(
        self, day: str, site: _Site, kind: Literal["firmographic", "hiring"], data: Event, since: str | None
    ) -> Event:
        self._tally[kind] += 1
        observed = {} if since is None else {"observed_since": since}
        return {
            "specversion": "1.0",
            "id": f"{site.domain}:{day}:{kind}",
            "source": SOURCE,
            "type": f"gtm.{kind}.v1",
            "subject": site.website,
            "time": f"{day}T00:00:00Z",
            "recordedtime": f"{day}T00:00:00Z",
            "datacontenttype": "application/json",
            "data": {**data, **observed},
        }


def _site(website: str | None) -> _Site | NoAccount:
    address = re.split(r"[,\s]", (website or "").strip(), maxsplit=1)[0]
    if not re.sub(r"^\w+:/*", "", address):
        return "without_website"
    try:
        return _Site(registrable_domain(address), address)
    except SharedHost:
        return "shared_host"
    except RefusedEvent:
        return "unusable_website"


def _industry(row: Row) -> str:
    label = row["industry"]
    return _INDUSTRIES.get(label, normalize_term(label))


def _subindustry(row: Row) -> str | None:
    """Return the subindustry: `B2B -> Marketing` is `marketing`, the industry alone is none."""
    return normalize_term((row["subindustry"] or "").partition("->")[2]) or None
