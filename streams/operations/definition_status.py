"""Which version of the segments file a prefix works by, and how far an apply is, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from resegment.schemas.definitions.marks import decode_changeover
from resegment.schemas.times import format_instant, spell_length
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import applying_key
from resegment.state.redis.reader import PartitionLook
from resegment.streams.definitions.history import ApplyHistory, Definitions

if TYPE_CHECKING:
    from redis.asyncio import Redis

PATIENCE: Final = 60_000
"""Milliseconds after the instant of a switch within which each partition must have reached it."""

SWEPT_WITHIN: Final = 1_800_000
"""Milliseconds after the instant of a switch within which each partition must have judged its accounts."""


@dataclass(frozen=True, slots=True)
class ApplyLook:
    """An apply that is under way; instants in ms. Of `partitions`, so many are prepared, marked, and worked off.

    `is_driven`: its command runs. `passed` is for how long (ms) the instant has passed, and `late` the same where not
    all have reached it.
    """

    version: int
    since: int
    at: int | None
    partitions: int
    prepared: int
    reached: int
    worked_off: int
    is_driven: bool
    late: int = 0
    passed: int = 0
    refused: Sequence[str] = ()

    @property
    def progress(self) -> str:
        """How far it is."""
        total = self.partitions
        if self.refused:
            return f"refused: {self.refused[0]}"
        if self.at is None:
            return f"{self.prepared} of {total} partitions are prepared"
        if self.reached < total:
            return f"{self.reached} of {total} partitions have reached {format_instant(self.at)}"
        return f"{self.worked_off} of {total} partitions have judged all their accounts"


@dataclass(frozen=True, slots=True)
class DefinitionLook:
    """The version in force, 0 where it is not known, the apply under way and the shadow."""

    version: int = 0
    newest: int = 0
    apply: ApplyLook | None = None
    shadow: int | None = None


async def look_at_definitions(
    client: Redis, prefix: str, definitions: Definitions, partitions: Sequence[PartitionLook], now: int
) -> DefinitionLook:
    """Look at the versions of a prefix, at the instant `now` (ms). Raises StoreUnavailable."""
    one = definitions.open
    apply = None
    if one is not None and one.kind == "switch":
        with answering("look for the command that applies a version"):
            driven = bool(await client.exists(applying_key(prefix)))
        apply = _look_at(one, partitions, now, is_driven=driven)
    reached = max((one.version for one in _changeovers(partitions)), default=0)
    shadow = definitions.shadow
    return DefinitionLook(
        max(reached, min(definitions.versions, default=0)),
        definitions.newest,
        apply,
        None if shadow is None else shadow.version,
    )


def _look_at(
    one: ApplyHistory, partitions: Sequence[PartitionLook], now: int, *, is_driven: bool
) -> ApplyLook:
    found = _changeovers(partitions)
    at = None if one.apply is None else one.apply.at
    reached = sum(each.version >= one.version for each in found)
    return ApplyLook(
        version=one.version,
        since=one.since,
        at=at,
        partitions=len(found),
        prepared=len(one.prepared),
        reached=reached,
        worked_off=sum(each.worked_off >= one.version for each in found),
        is_driven=is_driven,
        late=0 if at is None or reached == len(found) else max(0, now - at),
        passed=0 if at is None else max(0, now - at),
        refused=sorted(set(one.refused.values())),
    )


def _changeovers(partitions: Sequence[PartitionLook]) -> list[Any]:
    return [decode_changeover("" if one.position is None else one.position.definition) for one in partitions]


def find_definition_problems(look: DefinitionLook, clock: str) -> list[str]:
    """Return what keeps an apply from its end, one sentence each."""
    one = look.apply
    if one is None:
        return []
    if clock == "wall" and one.late > PATIENCE:
        since = spell_length(one.late)
        return [
            f"the switch to version {one.version} is stuck: its instant has passed for {since}, and {one.progress}"
        ]
    if clock == "wall" and one.passed > SWEPT_WITHIN:
        since = spell_length(one.passed)
        return [f"version {one.version} is in force for {since}, and only {one.progress}"]
    if not one.is_driven and (one.at is None or one.late):
        return [
            f"the apply of version {one.version} was interrupted: {one.progress}; run the same `resegment apply` again"
        ]
    return []


def find_definition_notes(look: DefinitionLook) -> list[str]:
    """Return what is worth knowing of the versions, one sentence each."""
    notes = []
    if look.apply is not None:
        notes.append(f"version {look.apply.version} is being applied: {look.apply.progress}")
    if look.shadow is not None:
        notes.append(f"version {look.shadow} is judged as a shadow: `resegment shadow` compares it")
    return notes


def describe_definition_look(look: DefinitionLook) -> dict[str, Any]:
    """Return it as plain JSON data."""
    one = look.apply
    return {
        "version": look.version,
        "newest": look.newest,
        "shadow": look.shadow,
        "apply": None
        if one is None
        else {
            "version": one.version,
            "since": format_instant(one.since),
            "at": None if one.at is None else format_instant(one.at),
            "partitions": one.partitions,
            "prepared": one.prepared,
            "reached": one.reached,
            "worked_off": one.worked_off,
            "running": one.is_driven,
            "refused": list(one.refused),
        },
    }
