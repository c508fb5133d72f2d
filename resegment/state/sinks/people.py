"""Keep the persons of accounts that `people` events named: one hash for each account, and how far a partition is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import people_key, people_positions_key

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person of an account. `at` (ms) is when that became known; `gone` is one that a later event took back."""

    at: int
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    role: str | None = None
    phone: str | None = None
    linkedin: str | None = None
    opted_out: bool = False
    gone: bool = False


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
        """Keep a person unless something newer is known. An opt-out stays, whatever a later event leaves out."""
        place = people_key(self._prefix, account)
        with answering("keep a person"):
            raw: Any = await self._client.hget(place, key)
            before = None if raw is None else _decoder.decode(raw)
            if before is not None and before.at > person.at:
                return
            await self._client.hset(place, key, msgspec.msgpack.encode(person))

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
