"""The partition store in memory: the twin of the one in Redis, for tests and replays without a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from resegment.schemas.logs.log_framing import is_log, join_logs
from resegment.schemas.outcomes.ledger import is_crowded, join_ledgers
from resegment.state.partition_store import (
    Claim,
    Commit,
    Committed,
    Fenced,
    OutboxEntry,
    Position,
    RolledBack,
)


@dataclass
class Memory:
    """The stored data of one partition. Several stores may share it, as workers share a server."""

    fence: int = 0
    position: Position | None = None
    accounts: dict[str, bytes] = field(default_factory=dict)
    deadlines: dict[str, int] = field(default_factory=dict)
    outbox: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    has_outbox: bool = False
    """Whether anything was ever put into the outbox."""
    last_outbox: str | None = None
    folded: dict[str, bytes] = field(default_factory=dict)
    ledgers: dict[str, bytes] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    """How much each part held after the last commit."""
    clock: Iterator[int] = field(default_factory=lambda: count(1), compare=False)
    """Stands in for the server's clock, which moves forward even when everything else is rolled back."""


class PartitionStore:
    """See `resegment.state.partition_store.PartitionStore`."""

    def __init__(self, memory: Memory, partition: int) -> None:
        self.memory, self.partition = memory, partition

    async def claim(self) -> Claim:
        self.memory.fence = max(self.memory.fence + 1, next(self.memory.clock))
        return Claim(self.memory.fence, self.memory.position, self._missing())

    def _missing(self) -> list[str]:
        there = self._count()
        if self.memory.position is None:
            return ["meta"] if any(there.values()) else []
        return [name for name, count in self.memory.kept.items() if there[name] != count]

    def _count(self) -> dict[str, int]:
        memory = self.memory
        return {
            "accounts": len(memory.accounts),
            "deadlines": len(memory.deadlines),
            "outbox": int(memory.has_outbox),
            "sizes": len(memory.sizes),
            "ledgers": len(memory.ledgers),
        }

    async def read(self, accounts: Sequence[str]) -> list[bytes | None]:
        return [self.memory.accounts.get(name) for name in accounts]

    async def read_ledgers(self, accounts: Sequence[str]) -> list[bytes | None]:
        return [self.memory.ledgers.get(name) for name in accounts]

    async def scan(self, cursor: int, limit: int) -> tuple[int, list[tuple[str, bytes]]]:
        names = sorted(self.memory.accounts)
        found = [(name, self.memory.accounts[name]) for name in names[cursor : cursor + limit]]
        following = cursor + limit
        return (following if following < len(names) else 0), found

    async def read_folded(self, accounts: Sequence[str]) -> list[bytes | None]:
        return [self.memory.folded.get(name) for name in accounts]

    async def keep_folded(self, states: Sequence[tuple[str, bytes]]) -> None:
        self.memory.folded.update(states)

    async def clear_folded(self) -> None:
        self.memory.folded.clear()

    async def commit(self, commit: Commit) -> Committed:
        memory, number = self.memory, commit.position.commit
        last = memory.position.commit if memory.position else 0
        if memory.fence != commit.fence:
            raise Fenced(self.partition)
        if last not in (number, number - 1) or (last == number - 1 and memory.position and self._missing()):
            raise RolledBack(self.partition)
        crowded = self._apply(commit) if last == number - 1 else []
        due = sorted((at, name) for name, at in memory.deadlines.items() if at <= commit.position.clock)
        names = [name for _, name in due[: commit.due_limit]]
        return Committed(memory.last_outbox, names, min(memory.deadlines.values(), default=None), crowded)

    def _apply(self, commit: Commit) -> list[str]:
        """Write it, and return the accounts whose ledgers have become too long."""
        memory = self.memory
        before = [memory.accounts.get(name, b"") for name, _ in commit.appended]
        if not all(map(is_log, before)):
            raise RolledBack(self.partition)
        joined = {
            name: join_logs((log, more)) for log, (name, more) in zip(before, commit.appended, strict=True)
        }
        memory.accounts.update(commit.states)
        memory.accounts.update(joined)
        for name, at in commit.deadlines:
            if at is None:
                memory.deadlines.pop(name, None)
            else:
                memory.deadlines[name] = at
        for name, more in commit.sizes:
            memory.sizes[name] = memory.sizes.get(name, 0) + more
        memory.last_outbox = None
        if commit.outbox is not None:
            memory.last_outbox = f"{commit.position.commit}-0"
            memory.outbox[memory.last_outbox] = commit.outbox
            memory.has_outbox = True
        for name, added in commit.ledgers:
            parts = filter(None, (memory.ledgers.get(name), added))
            memory.ledgers[name] = join_ledgers(parts)
        memory.ledgers.update(commit.compacted)
        memory.position = commit.position
        memory.kept = self._count()
        return [name for name, _ in commit.ledgers if is_crowded(memory.ledgers[name])]

    async def check(self, fence: int, commit: int) -> None:
        if self.memory.fence != fence:
            raise Fenced(self.partition)
        if (self.memory.position.commit if self.memory.position else 0) != commit:
            raise RolledBack(self.partition)

    async def outbox(self, after: str | None, limit: int) -> list[OutboxEntry]:
        entries = [OutboxEntry(entry_id, payload) for entry_id, payload in self.memory.outbox.items()]
        start = -1 if after is None else _number(after)
        return [entry for entry in entries if _number(entry.id) > start][:limit]

    async def sizes(self) -> dict[str, int]:
        return dict(self.memory.sizes)

    async def acknowledge(self, ids: Sequence[str]) -> None:
        for entry_id in ids:
            self.memory.outbox.pop(entry_id, None)


def _number(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
