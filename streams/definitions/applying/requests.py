"""What an apply is asked to do, where, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resegment.agents.batch import Publisher
from resegment.errors import ResegmentError, UserError
from resegment.schemas.definitions.records import Kind, Route
from resegment.segmentation.definition import Definition
from resegment.streams.definitions.history import ApplyHistory
from resegment.streams.kafka.topics import Topics

if TYPE_CHECKING:
    from redis.asyncio import Redis

Report = Callable[[str, int, int], None]
"""Receives the step, how much of it is done, and how much there is."""


def report_nothing(step: str, done: int, total: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True, slots=True)
class ApplyConnection:
    """The prefix that an apply is for. `clock` is its clock: `wall` or `facts`."""

    client: Redis
    publisher: Publisher
    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    partitions: int
    clock: str
    facts_per_test: int = 2_000

    @property
    def prefix(self) -> str:
        """The name of the prefix."""
        return self.topics.prefix


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """The version to switch to. `at` (ms) is the instant, None for at once.

    `base` is the number of the version that must be in force. `check` is called right before the switch is marked: it
    raises to prevent it. `moved` replaces the file's own `moved`.
    """

    definition: Definition
    base: int | None = None
    at: int | None = None
    route: Route = "none"
    kind: Kind = "switch"
    plan: str | None = None
    author: str = ""
    message: str = ""
    rollback_of: int | None = None
    moved: Mapping[str, str] | None = None
    check: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply came to. `apply` is None where the file is the version in force already.

    `pending`: the instant has not come yet; the partitions switch by themselves then. `moved` says by how much the
    segments grew or shrank meanwhile.
    """

    version: int
    apply: str | None = None
    at: int | None = None
    pending: bool = False
    moved: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()


class ApplyUnderWay(UserError):
    """Another apply has begun and is not worked off."""

    def __init__(self, one: ApplyHistory | None, progress: str = "") -> None:
        which = "another apply" if one is None else f"the apply of version {one.version}"
        super().__init__(
            f"{which} is under way{f': {progress}' if progress else ''}",
            remedy="Wait until it is done. If its command was interrupted, run the same apply again: it continues.",
        )
        self.version = None if one is None else one.version


class ApplyRefused(ResegmentError):
    """A worker cannot carry out the version. Nothing has changed."""

    def __init__(self, version: int, reasons: Mapping[int, str]) -> None:
        first = "; ".join(dict.fromkeys(reasons.values()))
        super().__init__(
            f"workers of {len(reasons)} of the partitions cannot carry out version {version}: {first}",
            remedy="Give all workers what the version reads, or the same release, and apply again.",
        )
        self.version, self.reasons = version, dict(reasons)


class ApplyVoided(ResegmentError):
    """The switch did not happen, in any partition."""

    def __init__(self, version: int, reason: str) -> None:
        super().__init__(
            f"the switch to version {version} did not happen: {reason}",
            remedy="Nothing has changed. Apply again; `resegment status` shows whether partitions lag behind.",
        )
        self.version, self.reason = version, reason


class BaseMoved(UserError):
    """Another version is in force than the one that the apply is based on."""

    def __init__(self, base: int, current: int) -> None:
        super().__init__(
            f"version {current} is in force, not {base}",
            remedy="Make a new plan: `resegment plan`.",
        )
        self.base, self.current = base, current


class InstantPassed(UserError):
    """The instant of the switch is not in the future."""

    def __init__(self, given: str, now: str) -> None:
        super().__init__(
            f"the instant {given} has passed: the prefix is at {now}",
            remedy="Give a later --at, or leave it out to switch at once.",
        )


class NoWorkers(ResegmentError):
    """No worker runs that could carry out the apply."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"no worker of prefix {prefix} is running",
            remedy="Start the workers, then apply again.",
        )
        self.prefix = prefix


class ShadowRuns(UserError):
    """The prefix has a shadow already."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"version {version} is judged as a shadow already",
            remedy="Promote it or discard it first: `resegment shadow`.",
        )
        self.version = version
