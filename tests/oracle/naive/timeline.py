"""Membership, and when time alone may change it."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import dates
from .decay import crossing, decay_terms
from .evaluation import holds
from .facts import (
    DURATION,
    Change,
    Fact,
    File,
    Files,
    Moment,
    Past,
    duration,
    known,
    leaves,
    read_facts,
    typed,
)
from .operators import is_number
from .sameness import as_one


def moment_of(
    file: File, events: Iterable[dict[str, Any]], account: str, at: int, files: Files | None = None
) -> Moment:
    facts = [typed(file, fact) for fact in read_facts(events) if fact.account == account]
    return Moment(file, as_one(file, known(facts, at)), at, account, files or {})


# ---------------------------------------------------------------- membership


def has(moment: Moment, past: Past, segment: dict[str, Any]) -> bool:
    """Whether a segment keeps the account, or takes it, if no higher one does."""
    name, hold = segment["name"], segment.get("hold", {})
    if past.segment == name:
        if "min_dwell" in hold and moment.at < past.entered + duration(hold["min_dwell"]):
            return True
        if "exit_when" in hold:
            return holds(moment, hold["exit_when"]) is not True
        return holds(moment, segment["when"]) is True
    if "cooldown" in hold and name in past.left and moment.at < past.left[name] + duration(hold["cooldown"]):
        return False
    if "exit_when" in hold and holds(moment, hold["exit_when"]) is True:
        return False
    return holds(moment, segment["when"]) is True


def takes(segment: dict[str, Any]) -> bool:
    """A draft takes nobody."""
    return segment.get("status") != "draft"


def membership(moment: Moment, past: Past | None = None) -> str:
    """The segment that has the account; `past` matters only where a segment has `hold`."""
    past = past or Past()
    for segment in moment.file["segments"]:
        if takes(segment) and has(moment, past, segment):
            return str(segment["name"])
    return str(moment.file["fallback"]["name"])


# ---------------------------------------------------------------- time


def written(file: File) -> list[Any]:
    """Where a file says what accounts are judged by."""
    return [file.get("traits", {}), file.get("conditions", {}), file["segments"]]


def durations(file: File) -> set[int]:
    """Every duration of the traits, conditions and segments, whatever for: one instant too many does no harm."""
    texts = [leaf for leaf in leaves(written(file)) if isinstance(leaf, str)]
    return {duration(text) for text in texts if DURATION.fullmatch(text)}


def durations_of_dates(node: Any) -> set[int]:
    """Every duration by which a test looks from a date ahead or back."""
    if isinstance(node, list):
        return set().union(*map(durations_of_dates, node))
    if not isinstance(node, dict):
        return set()
    here = {
        duration(node[name]) for name in ("within_next", "within_last") if isinstance(node.get(name), str)
    }
    return here.union(*map(durations_of_dates, node.values()))


def bounds(node: Any, trait: str) -> set[Any]:
    """Every number that a test compares a trait with."""
    if isinstance(node, list):
        return set().union(*(bounds(inner, trait) for inner in node))
    if not isinstance(node, dict):
        return set()
    found = {leaf for leaf in leaves(node.get(trait)) if is_number(leaf)}
    return found.union(*(bounds(inner, trait) for inner in node.values()))


def crossings(moment: Moment) -> Iterator[int]:
    """When decayed sums next cross a bound of the file, if nothing else happens before."""
    for name, trait in moment.file.get("traits", {}).items():
        if "decay" in trait:
            terms = decay_terms(moment, trait)
            for bound in bounds(written(moment.file), name):
                instant = crossing(terms, duration(trait["half_life"]), bound, moment.at)
                if instant is not None:
                    yield instant


def instants_of_dates(file: File, facts: Sequence[Fact]) -> set[int]:
    """The instants at which a test of a date that some fact carries may change."""
    spans = durations_of_dates(written(file))
    values = {dates.instant(value) for fact in facts for value in fact.data.values()} if spans else set()
    return {
        value + away for value in values if value is not None for span in spans for away in (-span, 0, span)
    }


def candidates(file: File, facts: Sequence[Fact]) -> set[int]:
    """The instants at which anything but a decayed sum or a hold could change, from the first placement on."""
    spans = durations(file) | {0}
    instants = {fact.recorded for fact in facts} | {fact.time + span for fact in facts for span in spans}
    placed = min(fact.recorded for fact in facts)
    return {instant for instant in instants | instants_of_dates(file, facts) if instant >= placed}


def hold_ends(file: File, change: Change) -> Iterator[int]:
    for segment in file["segments"]:
        hold = segment.get("hold", {})
        if segment["name"] == change.to and "min_dwell" in hold:
            yield change.effective_at + duration(hold["min_dwell"])
        if segment["name"] == change.from_ and "cooldown" in hold:
            yield change.effective_at + duration(hold["cooldown"])


def account_history(file: File, facts: Sequence[Fact], until: int | None, files: Files) -> Iterator[Change]:
    past = Past()
    agenda = sorted(candidates(file, facts))
    while agenda:
        instant = heapq.heappop(agenda)
        if until is not None and instant > until:
            return
        at = instant
        moment = Moment(file, as_one(file, known(facts, at)), at, facts[0].account, files)
        to = membership(moment, past)
        if to != past.segment:
            change = Change(facts[0].account, past.segment, to, at)
            yield change
            if past.segment is not None:
                past.left[past.segment] = at
            past.segment, past.entered = to, at
            for end in hold_ends(file, change):
                heapq.heappush(agenda, end)
        while agenda and agenda[0] == at:
            heapq.heappop(agenda)
        for instant in crossings(moment):
            # A later one is found again, from the facts of then, at the instant before it.
            if not agenda or instant < agenda[0]:
                heapq.heappush(agenda, instant)


def history(
    segments_file: File, events: Iterable[dict[str, Any]], until: int | None, files: Files | None = None
) -> list[Change]:
    """The changes these events give, in the order of (effective_at, account).

    `until` is the last instant to be judged; None: go on until time alone changes nothing more.
    `files` holds the text of each file that a test names, by its path.
    """
    accounts: dict[str, list[Fact]] = {}
    for fact in read_facts(events):
        accounts.setdefault(fact.account, []).append(typed(segments_file, fact))
    changes = [
        change
        for facts in accounts.values()
        for change in account_history(segments_file, facts, until, files or {})
    ]
    return sorted(changes, key=lambda change: (change.effective_at, change.account))
