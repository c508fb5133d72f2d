"""The names of Redis keys, each declared once. The hash tag keeps a partition in one slot of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Stage = Literal["segmenter", "router", "shadow"]
"""What the state of a partition belongs to: a stage, or a version judged beside the one in force. All are in one slot."""

_TAGS: Final[dict[Stage, str]] = {"segmenter": "", "router": ":route", "shadow": ":shadow"}


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of one stage of one partition. `chunks` has the older parts of long logs in `accounts`.

    `ledgers` has the touches and outcomes of accounts, which only the router writes.
    """

    meta: str
    accounts: str
    deadlines: str
    outbox: str
    sizes: str
    chunks: str
    ledgers: str
    folded: str
    """What is folded in from the log while an apply is prepared; it is not part of what a commit writes."""

    @property
    def all(self) -> tuple[str, str, str, str, str, str, str]:
        """Return every key of a commit, in the order in which the scripts take them."""
        return self.meta, self.accounts, self.deadlines, self.outbox, self.sizes, self.chunks, self.ledgers

    @classmethod
    def of(cls, prefix: str, partition: int, stage: Stage = "segmenter") -> PartitionKeys:
        tag = f"rs:{{{prefix}.{partition}}}{_TAGS[stage]}"
        names = ("meta", "accounts", "deadlines", "outbox", "sizes", "chunks", "ledgers", "folded")
        return cls(*(f"{tag}:{name}" for name in names))


@dataclass(frozen=True, slots=True)
class OwnersKeys:
    """The keys of the store of owners.

    By key of an assignment: `held` is what stands. By member: `open` accounts, `drawn` ever, the set of those
    `gone`. By team: `turns`, those `granted` a day, and the `windows` in which lines settle. `queues` are the sets of accounts
    that nobody could take, by their names; `ready` are granted accounts that are not enrolled yet, and `offered` says when
    an account of a queue was offered last.
    """

    held: str
    open: str
    drawn: str
    gone: str
    turns: str
    granted: str
    windows: str
    queues: str
    ready: str
    offered: str
    tag: str

    @classmethod
    def of(cls, prefix: str) -> OwnersKeys:
        tag = f"rs:{{{prefix}.owners}}"
        names = ("held", "open", "drawn", "gone", "turns", "granted", "windows", "queues", "ready", "offered")
        return cls(**{name: f"{tag}:{name}" for name in names}, tag=tag)

    @property
    def origin(self) -> str:
        """Return the key of the name that the record of the prefix knows too."""
        return f"{self.tag}:origin"

    def waiting(self, team: str) -> str:
        """Return the set of a team's waiting assignments, by rank, as versions before lines had it."""
        return f"{self.tag}:waiting:{team}"

    def line(self, team: str) -> str:
        """Return the line of a team."""
        return f"{self.tag}:line:{team}"

    def queue(self, name: str) -> str:
        """Return the accounts of a queue: `name` has its team and the members who may take them."""
        return f"{self.tag}:queue:{name}"

    def released(self, key: str) -> str:
        """Return the key that keeps what a released assignment had."""
        return f"{self.tag}:released:{key}"


def prefix_key(prefix: str) -> str:
    """Return the hash of what holds for the whole prefix: partitions, clock, definition."""
    return f"rs:{{{prefix}}}:prefix"


def key_patterns(prefix: str) -> tuple[str, str]:
    """Return what SCAN matches to find every key of a prefix: those of the whole, and those of its parts."""
    return f"rs:{{{prefix}}}:*", f"rs:{{{prefix}.*}}:*"


def lists_key(prefix: str) -> str:
    """Return the hash of suppression lists: by name, the accounts that each had last."""
    return f"rs:{{{prefix}}}:lists"


def refused_key(prefix: str) -> str:
    """Return the hash of records of `signals` that were refused because their time was ahead."""
    return f"rs:{{{prefix}}}:refused"


def audit_key(prefix: str) -> str:
    """Return the hash of who began the latest command that changes something."""
    return f"rs:{{{prefix}}}:audit"


def applying_key(prefix: str) -> str:
    """Return the lock of the process that applies a version."""
    return f"rs:{{{prefix}}}:applying"


def workers_key(prefix: str) -> str:
    """Return the hash of live workers and the partitions that each owns."""
    return f"rs:{{{prefix}}}:workers"


def archive_key(prefix: str) -> str:
    """Return the report of the process that archives the prefix."""
    return f"rs:{{{prefix}}}:archive"


def tables_key(prefix: str) -> str:
    """Return the hash of the processes that write tables, by the place of these."""
    return f"rs:{{{prefix}}}:tables"


def spot_checks_key(prefix: str) -> str:
    """Return the hash of what spot checks found, by partition."""
    return f"rs:{{{prefix}}}:spot-checks"


def credits_key(prefix: str) -> str:
    """Return the hash of how many outcomes are credited to touches, by partition."""
    return f"rs:{{{prefix}}}:credits"


def boards_key(prefix: str) -> str:
    """Return the key of what is known of job boards."""
    return f"rs:{{{prefix}}}:boards"


def refresh_key(prefix: str, partition: int) -> str:
    """Return the hash of the accounts of a partition whose attributes were asked for, with when (ms)."""
    return f"rs:{{{prefix}.{partition}}}:refresh"


def webhooks_key(prefix: str) -> str:
    """Return the hash of webhook endpoints."""
    return f"rs:{{{prefix}}}:webhooks"


def sinks_key(prefix: str) -> str:
    """Return the hash of sinks: which have begun, and what processes report of each."""
    return f"rs:{{{prefix}}}:sinks"


def calls_key(prefix: str, sink: str, account: str) -> str:
    """Return the hash of what a sink was asked and did for an account."""
    return f"rs:{{{prefix}.{sink}.{account}}}:calls"


def fields_key(prefix: str, sink: str) -> str:
    """Return the hash of what a sink wrote to the records of accounts."""
    return f"rs:{{{prefix}.{sink}}}:fields"


def people_key(prefix: str, account: str) -> str:
    """Return the hash of the persons of an account that `people` events named."""
    return f"rs:{{{prefix}.people.{account}}}:people"


def people_positions_key(prefix: str) -> str:
    """Return the hash of how far each partition of `signals` was read for persons."""
    return f"rs:{{{prefix}}}:people-positions"


def limits_key(prefix: str, sink: str) -> str:
    """Return the hash of the limits of a sink, each with when its next request is due."""
    return f"rs:{{{prefix}.{sink}}}:limits"


def sources_key(prefix: str) -> str:
    """Return the hash of sources: when the last event of each came, of which kinds, and which are silent."""
    return f"rs:{{{prefix}}}:sources"


def arrivals_key(prefix: str, day: int | str) -> str:
    """Return the set of the hours of a day, since the epoch, in which events of a source came."""
    return f"rs:{{{prefix}}}:arrivals:{day}"


def tokens_key(prefix: str) -> str:
    """Return the hash of the tokens of the console, by the hash of each."""
    return f"rs:{{{prefix}}}:tokens"


def console_key(prefix: str) -> str:
    """Return the hash of what all processes of the console share."""
    return f"rs:{{{prefix}}}:console"


def session_key(prefix: str, digest: str) -> str:
    """Return the key of a login to the console."""
    return f"rs:{{{prefix}}}:console:session:{digest}"
