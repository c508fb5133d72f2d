"""The ledgers of a partition from the log: what they lack is added, and what they have stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.outcomes.facts import to_outcome
from resegment.schemas.outcomes.ledger import decode_ledger, encode_ledger
from resegment.schemas.outcomes.messages import encode_touch
from resegment.streams.kafka.topic_reader import TopicUnreadable
from resegment.streams.kafka.topics import Topics
from resegment.streams.recovery.restore_routing import restore_ledgers
from tests.builders import Routing
from tests.unit.agents.test_router import rig
from tests.unit.outcomes.test_crediting import touch

FACT = Fact(
    account="a.com",
    kind="outcome",
    id="r",
    source="crm",
    record="r",
    time=5,
    recorded=6,
    data={"action": "won"},
)
TOUCH = touch("k1", 1)


class Log:
    """Stands in for the topics; a topic that is not given does not exist."""

    ahead = keys = fact_keys = None

    def __init__(self, **records: list[tuple[bytes | None, bytes | None]]) -> None:
        self.topics = Topics("p")
        self._records = {f"p.{name}": found for name, found in records.items()}

    @asynccontextmanager
    async def reading(self, topic: str, _: Collection[int] | None = None) -> AsyncIterator[Any]:
        if topic not in self._records:
            raise TopicUnreadable(topic, "kafka", "there is no such topic")
        records = [
            SimpleNamespace(offset=offset, timestamp=1, key=key, value=value, headers=())
            for offset, (key, value) in enumerate(self._records[topic])
        ]

        async def to_end() -> AsyncIterator[Sequence[Any]]:
            yield records

        yield SimpleNamespace(begins={0: 0}, to_end=to_end)


async def restored(log: Log, **ledgers: bytes) -> Routing:
    routing = rig()
    await routing.take()
    routing.memory.ledgers.update({name.replace("_", "."): value for name, value in ledgers.items()})
    routing.memory.kept["ledgers"] = len(ledgers)
    await restore_ledgers(routing.owned, log)  # type: ignore[arg-type]
    return routing


async def test_what_was_lost_is_as_the_log_has_it() -> None:
    junk = [
        (None, b"tick"),
        (b"b.com", encode_fact(FACT)),
        (b"a.com", b'{"kind":"outcome"}'),
        (b"a.com", None),
    ]
    log = Log(
        signals=[(b"a.com", encode_fact(FACT)), *junk],
        touches=[(b"a.com", encode_touch(TOUCH)), (b"x", b"{}")],
    )
    found = (await restored(log)).memory.ledgers
    assert {name: decode_ledger(value) for name, value in found.items()} == {
        "a.com": [to_outcome(FACT), TOUCH]
    }


async def test_what_is_there_stays_and_only_what_is_missing_is_added() -> None:
    log = Log(signals=[(b"a.com", encode_fact(FACT))], touches=[(b"a.com", encode_touch(TOUCH))])
    unpublished = touch("k2", 2)
    routing = await restored(log, a_com=encode_ledger([unpublished, TOUCH]))
    assert decode_ledger(routing.memory.ledgers["a.com"]) == [unpublished, TOUCH, to_outcome(FACT)]
    commit = routing.owned.position.commit
    await restore_ledgers(routing.owned, log)  # type: ignore[arg-type]
    assert routing.owned.position.commit == commit


async def test_a_prefix_of_an_earlier_release_has_no_touches() -> None:
    found = (await restored(Log(signals=[(b"a.com", encode_fact(FACT))]))).memory.ledgers
    assert decode_ledger(found["a.com"]) == [to_outcome(FACT)]
