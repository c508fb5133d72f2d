"""The names of Redis keys, each declared once. The hash tag keeps a partition in one slot of a cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of one partition."""

    meta: str
    accounts: str
    deadlines: str
    outbox: str
    sizes: str

    @classmethod
    def of(cls, prefix: str, partition: int) -> PartitionKeys:
        tag = f"rs:{{{prefix}.{partition}}}"
        return cls(f"{tag}:meta", f"{tag}:accounts", f"{tag}:deadlines", f"{tag}:outbox", f"{tag}:sizes")


def prefix_key(prefix: str) -> str:
    """The hash of what holds for the whole prefix: partitions, clock, definition."""
    return f"rs:{{{prefix}}}:prefix"


def workers_key(prefix: str) -> str:
    """The hash of live workers: who owns what."""
    return f"rs:{{{prefix}}}:workers"
