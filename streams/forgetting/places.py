"""Find and delete what Redis keeps of an account beside its state, its routing and its owners."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.partitioning import partition_of
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import (
    PartitionKeys,
    Stage,
    calls_key,
    fields_key,
    people_key,
    refresh_key,
    sinks_key,
    spot_checks_key,
)
from resegment.state.sinks.states import SinkStates
from resegment.streams.forgetting.pending import PendingForget

if TYPE_CHECKING:
    from redis.asyncio import Redis

_packed: Final = msgspec.msgpack.Decoder()
_STAGES: Final[tuple[Stage, ...]] = ("segmenter", "router", "shadow")


class AccountPlaces:
    """The places of one prefix. Every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str, partitions: int) -> None:
        self._client, self._prefix, self._partitions = client, prefix, partitions

    async def count(self, account: str) -> Mapping[str, int]:
        """Return how much lies where of an account; places with nothing are left out."""
        with answering("look for what is kept of an account"):
            found = {
                "persons": await self._ask(self._client.hlen(people_key(self._prefix, account))),
                "call logs": len(await self._logs(account)),
                "fields of sinks": len(await self._fields(account)),
                "requests for attributes": await self._count_in([self._refresh(account)], account),
                "notes of sinks": len(await self._notes(account)),
                "facts folded in": await self._count_in(self._folded(account), account),
                "findings of spot checks": len(await self._findings(account)),
            }
        return {name: count for name, count in found.items() if count}

    async def is_enrolled(self, account: str) -> bool:
        """Return whether sinks have persons of the account in sequences, or may have."""
        with answering("look for who is enrolled"):
            for key in await self._logs(account):
                for field, value in (await self._ask(self._client.hgetall(key))).items():
                    if field.startswith(b"enrolled:") and msgspec.msgpack.decode(value):
                        return True
        return False

    async def clear(self, account: str) -> None:
        """Delete all that is found of an account. Done twice, it has the effect of once."""
        with answering("delete what is kept of an account"):
            await self._client.delete(people_key(self._prefix, account), *await self._logs(account))
            for key in (*await self._fields(account), self._refresh(account), *self._folded(account)):
                await self._ask(self._client.hdel(key, account))
            for field, kept in (await self._notes(account)).items():
                await self._ask(self._client.hset(sinks_key(self._prefix), field, kept))
            for field, kept in (await self._findings(account)).items():
                await self._ask(self._client.hset(spot_checks_key(self._prefix), field, kept))

    async def clear_person(self, account: str, pending: PendingForget) -> None:
        """Delete what names or quotes a person of an account. Done twice, it has the effect of once."""
        with answering("delete what is kept of a person"):
            people = people_key(self._prefix, account)
            for field, value in (await self._ask(self._client.hgetall(people))).items():
                if _is_called(field.decode(), _unpack(value), pending):
                    await self._ask(self._client.hdel(people, field))
            for key in await self._logs(account):
                for field, value in (await self._ask(self._client.hgetall(key))).items():
                    await self._clear_logged(key, field, value, pending)
            for key in await self._fields(account):
                if _mentions(await self._ask(self._client.hget(key, account)), pending):
                    await self._ask(self._client.hdel(key, account))
            for raw, value in (await self._ask(self._client.hgetall(sinks_key(self._prefix)))).items():
                if raw.startswith(b"notes:") and pending.quotes(value.decode()):
                    notes = [
                        one for one in orjson.loads(value) if not pending.quotes(orjson.dumps(one).decode())
                    ]
                    await self._ask(self._client.hset(sinks_key(self._prefix), raw, orjson.dumps(notes)))

    async def _clear_logged(self, key: str, field: bytes, value: bytes, pending: PendingForget) -> None:
        """Take a person out of what a sink logged: out of its contacts, and what else speaks of it as a whole."""
        if not _mentions(value, pending):
            return
        if field.startswith((b"chosen:", b"enrolled:")):
            kept = [one for one in msgspec.msgpack.decode(value) if not _is_about(one, pending)]
            await self._ask(self._client.hset(key, field, msgspec.msgpack.encode(kept)))
        else:
            await self._ask(self._client.hdel(key, field))

    def _refresh(self, account: str) -> str:
        return refresh_key(self._prefix, partition_of(account.encode(), self._partitions))

    def _folded(self, account: str) -> list[str]:
        number = partition_of(account.encode(), self._partitions)
        return [PartitionKeys.of(self._prefix, number, stage).folded for stage in _STAGES]

    async def _logs(self, account: str) -> list[str]:
        """Return the keys of the call logs of an account: one for each sink that has one."""
        keys = [calls_key(self._prefix, sink, account) for sink in await self._sinks()]
        return [key for key in keys if await self._ask(self._client.hlen(key))]

    async def _fields(self, account: str) -> list[str]:
        """Return the keys of what sinks wrote, of those that have the account."""
        keys = [fields_key(self._prefix, sink) for sink in await self._sinks()]
        return [key for key in keys if await self._count_in([key], account)]

    async def _sinks(self) -> Sequence[str]:
        return sorted(await SinkStates(self._client, self._prefix).read())

    async def _count_in(self, keys: Sequence[str], account: str) -> int:
        """Return how many of these hashes have the account."""
        return sum([await self._ask(self._client.hget(key, account)) is not None for key in keys])

    async def _notes(self, account: str) -> dict[str, bytes]:
        """Return the notes of sinks that speak of the account, without those."""
        held = await self._ask(self._client.hgetall(sinks_key(self._prefix)))
        found: dict[str, bytes] = {}
        named = re.compile(rf"(?<![\w.-]){re.escape(account)}(?![\w-]|\.\w)")
        for raw, value in held.items():
            if raw.startswith(b"notes:") and account.encode() in value:
                notes = orjson.loads(value)
                kept = [one for one in notes if not named.search(orjson.dumps(one).decode())]
                if len(kept) < len(notes):
                    found[raw.decode()] = orjson.dumps(kept)
        return found

    async def _findings(self, account: str) -> dict[str, bytes]:
        """Return what spot checks found, where they name the account, without it."""
        held = await self._ask(self._client.hgetall(spot_checks_key(self._prefix)))
        found: dict[str, bytes] = {}
        for raw, value in held.items():
            check = orjson.loads(value)
            if account in check.get("named", {}):
                del check["named"][account]
                found[raw.decode()] = orjson.dumps(check)
        return found

    async def _ask(self, asked: Any) -> Any:
        return await asked


def _mentions(value: bytes | None, pending: PendingForget) -> bool:
    """Return whether packed values name or quote the person."""
    return value is not None and _is_about(_unpack(value), pending)


def _unpack(value: bytes) -> Any:
    try:
        return decode_value(_packed, value)
    except msgspec.DecodeError:
        return value.decode("utf-8", "replace")


def _is_called(key: str, person: Any, pending: PendingForget) -> bool:
    """Return whether a person to contact is the one: others, whose names are like it, stay with their opt-outs."""
    said = [one for one in person.values() if isinstance(one, str)] if isinstance(person, dict) else []
    return any(map(pending.names, (key, _full_name(person), *said)))


def _full_name(person: Any) -> str:
    given = (person.get(name) for name in ("first_name", "last_name")) if isinstance(person, dict) else ()
    return " ".join(one for one in given if isinstance(one, str) and one)


def _is_about(value: Any, pending: PendingForget) -> bool:
    if isinstance(value, str):
        return pending.quotes(value)
    if isinstance(value, dict):
        return pending.quotes(_full_name(value)) or any(
            _is_about(one, pending) for one in (*value, *value.values())
        )
    return isinstance(value, list) and any(_is_about(one, pending) for one in value)
