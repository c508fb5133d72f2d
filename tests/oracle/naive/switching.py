"""Definitions that change: which version judges when, and what an account takes along, by what the text says."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from . import timeline
from .facts import Change, Fact, File, Files, Moment, Past, duration, known, read_facts, typed
from .sameness import as_one


class Version(NamedTuple):
    """A file, and the texts of those that its tests name, from the instant `at` on; the first has no instant."""

    file: File
    files: Files
    at: int | None = None


# ---------------------------------------------------------------- names


def names(file: File) -> set[str]:
    """Every name of a segment, the fallback's too."""
    return {one["name"] for one in [*file["segments"], file["fallback"]]}


def new_names(before: File, file: File) -> dict[str, str]:
    """The new name of each segment that moves; pairs whose old name the version before does not have are ignored."""
    return {old: new for new, old in file.get("moved", {}).items() if old in names(before)}


def carried(past: Past, renamed: dict[str, str]) -> Past:
    """Membership, entry and exits by the new names, all pairs at once; of two exits of one name the later."""
    left: dict[str, int] = {}
    for name, at in past.left.items():
        now = renamed.get(name, name)
        left[now] = max(at, left.get(now, at))
    assert past.segment is not None
    return Past(renamed.get(past.segment, past.segment), past.entered, left)


# ---------------------------------------------------------------- what is known


def without(value: Any, dropped: set[str]) -> Any:
    """A value without the fields that a file drops, at any depth."""
    if isinstance(value, dict):
        return {name: without(one, dropped) for name, one in value.items() if name not in dropped}
    return [without(one, dropped) for one in value] if isinstance(value, list) else value


def received(fact: Fact, versions: Sequence[Version]) -> Fact:
    """A fact without the fields that the version of the instant at which it became known drops."""
    file = [one.file for one in versions if one.at is None or one.at <= fact.recorded][-1]
    dropped = set(file.get("privacy", {}).get("drop", []))
    return replace(fact, data=without(fact.data, dropped)) if dropped else fact


# ---------------------------------------------------------------- time


def holds_to_end(file: File, past: Past) -> Iterator[int]:
    """When what the account took along may end: a stay at least so long, a time not to come back."""
    for segment in file["segments"]:
        hold = segment.get("hold", {})
        if segment["name"] == past.segment and "min_dwell" in hold:
            yield past.entered + duration(hold["min_dwell"])
        if segment["name"] in past.left and "cooldown" in hold:
            yield past.left[segment["name"]] + duration(hold["cooldown"])


def judged(moment: Moment, past: Past) -> str:
    return timeline.membership(moment, past)


def switched(moment: Moment, past: Past, before: File) -> tuple[Past, Change | None]:
    """The one judgment by a new version at its instant, and the one change that consumers are told."""
    mine = carried(past, new_names(before, moment.file))
    to = judged(moment, mine)
    if to != mine.segment:
        assert mine.segment is not None
        mine = Past(to, moment.at, {**mine.left, mine.segment: moment.at})
    told = None if to == past.segment else Change(moment.account, past.segment, to, moment.at)
    return mine, told


def agenda_of(versions: Sequence[Version], number: int, facts: Sequence[Fact], past: Past) -> list[int]:
    """The instants at which a version has to look, as far as they are known at its beginning."""
    file, at = versions[number].file, versions[number].at
    agenda = timeline.candidates(file, facts)
    if at is None:
        return list(agenda)
    if past.segment is not None:
        agenda |= {at, *holds_to_end(file, carried(past, new_names(versions[number - 1].file, file)))}
    return [instant for instant in agenda if instant >= at]


def step(moment: Moment, past: Past) -> tuple[Past, Change | None]:
    """An ordinary judgment."""
    to = judged(moment, past)
    if to == past.segment:
        return past, None
    left = past.left if past.segment is None else {**past.left, past.segment: moment.at}
    return Past(to, moment.at, left), Change(moment.account, past.segment, to, moment.at)


def account_history(
    versions: Sequence[Version], received_facts: Sequence[Fact], until: int | None
) -> Iterator[Change]:
    past, account = Past(), received_facts[0].account
    for number, version in enumerate(versions):
        end = versions[number + 1].at if number + 1 < len(versions) else None
        facts = [typed(version.file, fact) for fact in received_facts]
        agenda = agenda_of(versions, number, facts, past)
        heapq.heapify(agenda)
        while agenda:
            at = heapq.heappop(agenda)
            if (end is not None and at >= end) or (until is not None and at > until):
                break
            moment = Moment(version.file, as_one(version.file, known(facts, at)), at, account, version.files)
            if at == version.at and past.segment is not None:
                past, change = switched(moment, past, versions[number - 1].file)
            else:
                past, change = step(moment, past)
            if change is not None:
                yield change
            while agenda and agenda[0] == at:
                heapq.heappop(agenda)
            later = [*(one for one in holds_to_end(version.file, past) if one > at)]
            later += [one for one in timeline.crossings(moment) if not agenda or one < agenda[0]]
            for instant in later:
                heapq.heappush(agenda, instant)


def switching_history(
    versions: Sequence[Version], events: Iterable[dict[str, Any]], until: int | None
) -> list[Change]:
    """The changes that these events give while one version follows another, in the order of (effective_at, account)."""
    accounts: dict[str, list[Fact]] = {}
    for fact in read_facts(events):
        accounts.setdefault(fact.account, []).append(received(fact, versions))
    changes = [change for facts in accounts.values() for change in account_history(versions, facts, until)]
    return sorted(changes, key=lambda change: (change.effective_at, change.account))
