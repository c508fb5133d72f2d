"""Keep the persons of accounts that `people` events named: one hash for each account, and how far a partition is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import people_key, people_positions_key

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person of an account. `at` (ms) is when that became known; `gone` is one that a later event took back.

    `opted_out` is None where nothing was said of it. `record` is what the newest event about the person called itself, with
    its source: a retraction names it.
    """

    at: int
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    role: str | None = None
    phone: str | None = None
    linkedin: str | None = None
    opted_out: bool | None = None
    gone: bool = False
    record: str = ""


def merge(before: Person, person: Person) -> Person:
    """Return what is known after one more event: the newer one, but an opt-out stays whatever an event leaves out."""
    newer, older = (person, before) if person.at >= before.at else (before, person)
    said = older.opted_out if newer.opted_out is None else newer.opted_out
    return msgspec.structs.replace(newer, opted_out=said)


_decoder: Final = msgspec.msgpack.Decoder(Person)


class PeopleStore:
    """The persons of a prefix. Every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    async def read(self, account: str) -> list[Person]:
        """Return the persons of an account who are not gone."""
        with answering("read the persons of an account"):
            held: Any = await self._client.hgetall(people_key(self._prefix, account))
        return [one for raw in held.values() if not (one := _decoder.decode(raw)).gone]

    async def keep(self, account: str, key: str, person: Person) -> None:
        """Keep a person as `merge` says. A retraction takes back the person that its record named before."""
        place = people_key(self._prefix, account)
        with answering("keep a person"):
            retracts = person.gone and person.record != ""
            held: Any = await self._client.hgetall(place) if retracts else {}
            if not retracts and (raw := await self._client.hget(place, key)) is not None:
                held = {key.encode(): raw}
            before = {name.decode(): _decoder.decode(raw) for name, raw in held.items()}
            named = {name for name, one in before.items() if retracts and one.record == person.record}
            for name in named or {key}:
                merged = merge(before[name], person) if name in before else person
                await self._client.hset(place, name, msgspec.msgpack.encode(merged))

    async def read_position(self, partition: int) -> tuple[str, int] | None:
        """Return the id of the topic and the offset up to which a partition of `signals` was read."""
        with answering("read how far people were read"):
            raw: Any = await self._client.hget(people_positions_key(self._prefix), str(partition))
        if raw is None:
            return None
        topic, _, offset = raw.decode().rpartition(":")
        return topic, int(offset)

    async def write_position(self, partition: int, topic: str, offset: int) -> None:
        """Keep how far a partition was read."""
        with answering("keep how far people were read"):
            await self._client.hset(people_positions_key(self._prefix), str(partition), f"{topic}:{offset}")
