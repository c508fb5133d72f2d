"""What a version reads and accounts do not keep is folded in from the log, to the side of the accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.agents.deciding.marks import MARK
from resegment.schemas.definitions.marks import Mark, encode_mark
from resegment.schemas.logs.state_log import decode_state
from resegment.streams.definitions import preparing
from resegment.streams.definitions.preparing import LogIncomplete, SignalLog, fold_in, prepare_partition
from resegment.streams.kafka.topics import Topics
from tests.builders import Rig, definition_of, facts_of, registry_of, signals
from tests.oracle.cases import DAY, event, only

NOW = 100 * DAY
FUNDED = only({"event": "funding", "within": "7d"})
HIRING = only({"event": "hiring", "where": {"function": "sales"}, "within": "30d"})
EVENTS = [
    event(
        "hiring",
        NOW + number,
        account=f"company-{number % 3}.com",
        id=f"h{number}",
        function="sales",
        change="opened",
    )
    for number in range(9)
]
SOURCE = SignalLog("kafka", Topics(), {})
MARKED = Mark(apply="a", version=2, step="prepare")


class Log:
    """A partition of `signals`, read in pieces of four records."""

    def __init__(self, records: Sequence[RecordedMessage], begins: int = 0) -> None:
        self.records, self.newest_beginning = records, begins

    async def to_end(self) -> AsyncIterator[Sequence[RecordedMessage]]:
        for start in range(0, len(self.records), 4):
            yield self.records[start : start + 4]


def use(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def reading(*_: Any, **__: Any) -> AsyncIterator[Log]:
        yield log

    monkeypatch.setattr(preparing, "reading", reading)


def accept(_: object) -> None:
    """A machine that has all that any version needs."""


async def folded(rig: Rig) -> dict[str, int]:
    return {name: len(decode_state(value).entries) for name, value in sorted(rig.memory.folded.items())}


@pytest.mark.parametrize("in_memory", [2, 1_000])
async def test_the_facts_before_the_mark_are_folded_in_whatever_fits_into_memory(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(preparing, "IN_MEMORY", in_memory)
    monkeypatch.setattr(preparing, "TOGETHER", 2)
    records = [
        *signals(facts_of(EVENTS[:7])),
        RecordedMessage(7, NOW, None, encode_mark(MARKED), [(MARK, b"")]),
    ]
    use(Log([*records, *signals(facts_of(EVENTS[7:]), 8)]), monkeypatch)
    rig, registry = Rig(FUNDED), registry_of(definition_of(FUNDED), definition_of(HIRING))
    await rig.take()
    assert await prepare_partition(rig.owned, MARKED, 7, registry, SOURCE, check=accept) == 7
    assert await folded(rig) == {"company-0.com": 3, "company-1.com": 2, "company-2.com": 2}


async def test_nothing_is_read_where_accounts_keep_all_that_the_version_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(Log([]), monkeypatch)
    rig, registry = Rig(FUNDED), registry_of(definition_of(FUNDED), definition_of(FUNDED))
    await rig.take()
    rig.memory.folded["left.com"] = b"of an apply before"
    assert await prepare_partition(rig.owned, MARKED, 7, registry, SOURCE, check=accept) == 0
    assert rig.memory.folded == {}


async def test_a_log_that_lacks_its_beginning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Log([], begins=5), monkeypatch)
    rig = Rig(HIRING)
    with pytest.raises(LogIncomplete, match="begins at offset 5"):
        await fold_in(0, 7, rig.engine, rig.store, SOURCE)


async def test_a_log_that_is_a_new_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Log([]), monkeypatch)
    rig, registry = Rig(FUNDED), registry_of(definition_of(FUNDED), definition_of(HIRING))
    await rig.take()
    await rig.feed(*signals(facts_of(EVENTS[:1])))
    assert await prepare_partition(rig.owned, MARKED, 1, registry, SOURCE, check=accept) == 0
    rig.log = "another"
    await rig.take()
    with pytest.raises(LogIncomplete, match="a new one"):
        await prepare_partition(rig.owned, MARKED, 1, registry, SOURCE, check=accept)


async def test_what_a_machine_lacks_prevents_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Log([]), monkeypatch)
    rig, registry = Rig(FUNDED), registry_of(definition_of(FUNDED), definition_of(HIRING))
    await rig.take()

    def lack(_: object) -> None:
        raise LogIncomplete(0, "no such list")

    with pytest.raises(LogIncomplete, match="no such list"):
        await prepare_partition(rig.owned, MARKED, 1, registry, SOURCE, check=lack)
