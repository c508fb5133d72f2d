"""Tell the history of a prefix: its versions, what each changed, and since when each was in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from resegment.documents.diagnostics import InvalidSegments
from resegment.schemas.definitions.records import Route, Version
from resegment.schemas.times import format_instant
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.wording import ToldDifference, tell_differences
from resegment.streams.definitions.content import VersionIncomplete
from resegment.streams.definitions.history import ApplyHistory, Definitions, NoSuchVersion

FIRST: Final = "the first version"
NOTHING: Final = "nothing that has a meaning"
UNREADABLE: Final = "cannot be read by this release"


class ApplyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One apply of a version. `at` is the instant of its switch, None where none was chosen yet."""

    id: str
    kind: str
    state: str
    """`preparing`, `pending`, `switching`, `applied`, `void`, or of a shadow `running`, `promoted` and `discarded`."""
    at: str | None
    from_version: int
    route: Route = "none"
    rollback_of: int | None = None
    author: str = ""
    message: str = ""
    reason: str = ""
    """Why it is void."""
    ended: str | None = None
    """When a shadow was promoted or discarded; None while it runs, and where an earlier release did it."""

    @property
    def is_discarded(self) -> bool:
        """Whether it is a shadow that ended without coming into force."""
        return self.kind == "shadow" and self.state == "discarded"


class VersionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One version; `changes` says in one line what it changed."""

    number: int
    fingerprint: str
    at: str
    author: str
    message: str
    base: int
    changes: str
    in_force: bool
    since: str | None
    """Since when it is in force, or was the last time; None if it never was."""
    applies: tuple[ApplyEntry, ...]

    @property
    def discarded(self) -> ApplyEntry | None:
        """The last shadow of this version, if it was discarded and the version never came into force."""
        ended = [one for one in self.applies if one.is_discarded]
        return ended[-1] if ended and self.since is None else None


def tell_history(definitions: Definitions, now: int) -> list[VersionEntry]:
    """Return every version in the order of the numbers, as of an instant (ms)."""
    in_force = definitions.in_force(now)
    return [
        _tell_version(definitions, definitions.versions[number], in_force, now)
        for number in sorted(definitions.versions)
    ]


def _tell_version(definitions: Definitions, version: Version, in_force: int, now: int) -> VersionEntry:
    number = version.number
    switches = [one.at for one in definitions.standing if one.version == number and one.at <= now]
    first = min(definitions.versions) == number
    since = switches[-1] if switches else version.at if first else None
    return VersionEntry(
        number=number,
        fingerprint=version.fingerprint,
        at=format_instant(version.at),
        author=version.author,
        message=version.message,
        base=version.base,
        changes=FIRST if first else summarize_change(definitions, version.base, number),
        in_force=number == in_force,
        since=None if since is None else format_instant(since),
        applies=tuple(
            _tell_apply(one, now, promoted=bool(switches))
            for one in definitions.applies.values()
            if one.version == number
        ),
    )


def _tell_apply(one: ApplyHistory, now: int, *, promoted: bool) -> ApplyEntry:
    wish = one.apply
    state = _state(one, now)
    return ApplyEntry(
        id=one.id,
        kind=one.kind,
        state="promoted" if promoted and state == "discarded" else state,
        at=None if wish is None else format_instant(wish.at),
        from_version=one.base,
        route="none" if wish is None else wish.route,
        rollback_of=None if wish is None else wish.rollback_of,
        author="" if wish is None else wish.author,
        message="" if wish is None else wish.message,
        reason=one.reason,
        ended=format_instant(one.discarded_at) if one.discarded_at else None,
    )


def _state(one: ApplyHistory, now: int) -> str:
    if one.verdict == "void":
        return "void"
    if one.kind == "shadow" and one.verdict == "stands":
        return "discarded" if one.discarded else "running"
    if one.applied:
        return "applied"
    if one.apply is None:
        return "preparing"
    return "switching" if one.verdict == "stands" and one.apply.at <= now else "pending"


def summarize_change(definitions: Definitions, base: int, number: int) -> str:
    """Return in one line what a version changed against another, by meaning."""
    try:
        old, new = definitions.definition_of(base), definitions.definition_of(number)
    except (InvalidSegments, NoSuchVersion, VersionIncomplete):
        return UNREADABLE
    return summarize(tell_differences(old, new, compare(old, new)))


def summarize(told: Sequence[ToldDifference]) -> str:
    """Return the first change and how many more there are."""
    lines = [f"{one.name}: {words}" for one in told for words in one.words or (", ".join(one.what),)]
    if not lines:
        return NOTHING
    more = len(lines) - 1
    return lines[0] + (f", and {more} more" if more else "")
