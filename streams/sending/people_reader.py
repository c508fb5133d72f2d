"""Keep what `people` events say in Redis: read `signals`, and note how far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from resegment.errors import ResegmentError
from resegment.metrics import Metrics
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.privacy.opening import FactKeys, open_known
from resegment.schemas.state import AccountState
from resegment.state.sinks.people import PeopleStore, Person
from resegment.streams.delivery.endpoint_consumer import RESTART_PAUSE, Subscription
from resegment.streams.kafka.group_offsets import leave

log = structlog.get_logger(__name__)

POLL_MS: Final = 500
MARK: Final = b'"people"'
"""What every record about a person has in it: others are passed over unread."""
TEXTS: Final = ("email", "first_name", "last_name", "title", "role", "phone", "linkedin")


class States(Protocol):
    """Reads the states of accounts."""

    async def states(self, accounts: Sequence[str]) -> list[AccountState | None]:
        """Return the state of each account. Raises StoreUnavailable."""
        ...


class PeopleReader:
    """Reads the partitions of `signals` that it gets, from where Redis says that they were read up to. Run it with `run`."""

    def __init__(
        self,
        subscription: Subscription,
        store: PeopleStore,
        metrics: Metrics,
        states: States,
        keys: FactKeys | None = None,
    ) -> None:
        """`states` says which accounts are forgotten, `keys` open what is sealed."""
        self._subscription, self._store, self._metrics = subscription, store, metrics
        self._states, self._keys = states, keys

    async def run(self) -> None:
        """Read until canceled. Log each failure, and start over."""
        while True:
            try:
                await self._consume()
            except (ResegmentError, KafkaError, OSError) as error:
                self._metrics.failures.labels("people", type(error).__name__).inc()
                log.warning("people cannot be read", error=str(error) or repr(error))
            await asyncio.sleep(RESTART_PAUSE)

    async def _consume(self) -> None:
        where = self._subscription
        consumer = where.make_consumer()
        await consumer.start()
        consumer.subscribe(list(where.topics), listener=_Seeker(consumer, self._store))
        try:
            while True:
                for tp, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                    await keep_people(records, self._store, self._states, self._keys)
                    await self._store.write_position(tp.partition, tp.topic, records[-1].offset + 1)
        finally:
            await leave(consumer)


async def keep_people(
    records: Sequence[ConsumerRecord], store: PeopleStore, states: States, keys: FactKeys | None
) -> None:
    """Keep the persons that records of `signals` name, but those of forgotten accounts. Raises StoreUnavailable."""
    named = [(one.timestamp, fact) for one in records if (fact := _read_people(one.value or b"")) is not None]
    if not named:
        return
    accounts = list(dict.fromkeys(fact.account for _, fact in named))
    found = dict(zip(accounts, await states.states(accounts), strict=True))
    for at, fact in await open_known(keys, named):
        state = found[fact.account]
        identity = None if state is None else state.identity
        if identity is None or not (identity.forgotten or at <= identity.until):
            await store.keep(fact.account, *read_person(fact))


def _read_people(value: bytes) -> Fact | None:
    if MARK not in value:
        return None
    try:
        fact = decode_fact(value)
    except msgspec.DecodeError:
        return None  # a tick, or what workers refuse
    return fact if fact.kind == "people" else None


def read_person(fact: Fact) -> tuple[str, Person]:
    """Return what tells a person from others, and what is known."""
    data: Mapping[str, Any] = fact.data
    texts = {name: value for name in TEXTS if isinstance(value := data.get(name), str) and value}
    name = data.get("person")
    if isinstance(name, str) and name and "first_name" not in texts:
        first, _, last = name.partition(" ")
        texts["first_name"] = first
        if last:
            texts.setdefault("last_name", last)
    key = texts.get("email", "").strip().lower() or str(name or fact.record)
    said = data.get("opted_out")
    known = Person(
        at=fact.time,
        opted_out=said if isinstance(said, bool) else None,
        gone=fact.op == "retract",
        record=f"{fact.source} {fact.record}",
    )
    return key, known if known.gone else msgspec.structs.replace(known, **texts)


class _Seeker(ConsumerRebalanceListener):  # type: ignore[misc]
    """Places each partition where Redis says, or at its beginning: what Redis lost is read again."""

    def __init__(self, consumer: AIOKafkaConsumer, store: PeopleStore) -> None:
        self._consumer, self._store = consumer, store

    async def on_partitions_revoked(self, _: object) -> None:
        pass

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        for tp in assigned:
            known = await self._store.read_position(tp.partition)
            if known is not None and known[0] == tp.topic:
                self._consumer.seek(tp, known[1])
            else:
                await self._consumer.seek_to_beginning(tp)
