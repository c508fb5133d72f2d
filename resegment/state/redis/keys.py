"""The names of Redis keys, each declared once. The hash tag keeps a partition in one slot of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["segmenter", "router"]
"""Whose state of a partition it is; both lie in the same slot."""


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of one partition: of its segmenter, or of its router."""

    meta: str
    accounts: str
    deadlines: str
    outbox: str
    sizes: str

    @property
    def all(self) -> tuple[str, str, str, str, str]:
        """Every key, in the order in which the scripts take them."""
        return self.meta, self.accounts, self.deadlines, self.outbox, self.sizes

    @classmethod
    def of(cls, prefix: str, partition: int, stage: Stage = "segmenter") -> PartitionKeys:
        tag = f"rs:{{{prefix}.{partition}}}{':route' if stage == 'router' else ''}"
        return cls(f"{tag}:meta", f"{tag}:accounts", f"{tag}:deadlines", f"{tag}:outbox", f"{tag}:sizes")


@dataclass(frozen=True, slots=True)
class OwnersKeys:
    """The keys of the store of owners.

    By key of an assignment: `held` is what stands. By member: `open` accounts, `drawn` ever, the set of those
    `gone`. By team: `turns`, and those `granted` a day.
    """

    held: str
    open: str
    drawn: str
    gone: str
    turns: str
    granted: str
    tag: str

    @classmethod
    def of(cls, prefix: str) -> OwnersKeys:
        tag = f"rs:{{{prefix}.owners}}"
        return cls(
            f"{tag}:held",
            f"{tag}:open",
            f"{tag}:drawn",
            f"{tag}:gone",
            f"{tag}:turns",
            f"{tag}:granted",
            tag,
        )

    def waiting(self, team: str) -> str:
        """The keys of a team that wait, by their rank."""
        return f"{self.tag}:waiting:{team}"

    def released(self, key: str) -> str:
        """What a released key had."""
        return f"{self.tag}:released:{key}"


def prefix_key(prefix: str) -> str:
    """The hash of what holds for the whole prefix: partitions, clock, definition."""
    return f"rs:{{{prefix}}}:prefix"


def lists_key(prefix: str) -> str:
    """The hash of suppressions that are lists: by name, the accounts that each had last."""
    return f"rs:{{{prefix}}}:lists"


def workers_key(prefix: str) -> str:
    """The hash of live workers: who owns what."""
    return f"rs:{{{prefix}}}:workers"


def webhooks_key(prefix: str) -> str:
    """The hash of webhook endpoints: which are disabled, which have begun, how they are."""
    return f"rs:{{{prefix}}}:webhooks"
