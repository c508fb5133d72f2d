"""A key store in Redis: one hash for the keys of a prefix, so that a batch is one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from resegment.state.keys.records import KeyRecord, parse_record, spell_record
from resegment.state.keys.store import KeyStoreNotDurable, KeyStoreUnavailable, NewVersion
from resegment.state.redis.errors import FAILURES, unavailable
from resegment.state.redis.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

TOGETHER: Final = 1000
"""Keys in one call of a script."""


class RedisKeyStore:
    """See `resegment.state.keys.store.KeyStore`. Its keys begin with `rk:`, so that nothing takes them for state."""

    def __init__(
        self, connect: Callable[[], Redis], prefix: str, address: str, *, durable: bool = True
    ) -> None:
        """`connect` makes the client. With `durable` a server without an append-only file is refused."""
        self.address = address
        self._client, self._durable = connect(), durable
        self._keys, self._forgotten, self._pending, self._secret = (
            f"rk:{{{prefix}}}:{part}" for part in ("keys", "forgotten", "pending", "secret")
        )

    async def init(self) -> None:
        """Do nothing: keys are made when they are written."""

    async def check(self) -> None:
        if not self._durable:
            return
        with _answering("tell whether it keeps an append-only file"):
            about: Any = await self._client.info("persistence")
        nodes = [about] if "aof_enabled" in about else list(about.values())  # a cluster tells it by node
        if not nodes or not all(isinstance(one, dict) and int(one.get("aof_enabled", 0)) for one in nodes):
            raise KeyStoreNotDurable(
                f"the Redis of the key store ({self.address}) keeps no append-only file: a restart would lose keys, and with "
                "them all that they sealed",
                remedy="Set `appendonly yes` there, or use PostgreSQL. RESEGMENT_KEYS_ALLOW_LOSS=true accepts the risk, for a "
                "trial.",
            )

    async def read_secret(self) -> str | None:
        with _answering("read the secret"):
            found = await self._client.get(self._secret)
        return None if found is None else _text(found)

    async def keep_secret(self, wrapped: str, *, instead_of: str | None = None) -> str:
        with _answering("keep the secret"):
            return _text(
                await _script("secret").run(self._client, 1, self._secret, wrapped, instead_of or "")
            )

    async def read(self, names: Sequence[str]) -> Sequence[KeyRecord | None]:
        if not names:
            return []
        with _answering("read keys"):
            answer: Any = self._client.hmget(self._keys, list(names))
            return [None if one is None else parse_record(_text(one)) for one in await answer]

    async def create(self, versions: Sequence[NewVersion]) -> Sequence[KeyRecord]:
        found: list[KeyRecord] = []
        for start in range(0, len(versions), TOGETHER):
            parts = [part for one in versions[start : start + TOGETHER] for part in one]
            with _answering("make keys"):
                answer = await _script("create").run(self._client, 1, self._keys, *parts)
            found += [parse_record(_text(one)) for one in answer]
        return found

    async def destroy(self, names: Collection[str], *, forget: bool = False) -> int:
        given, count = list(names), 0
        for start in range(0, len(given), TOGETHER):
            with _answering("destroy keys"):
                count += await _script("destroy").run(
                    self._client,
                    2,
                    self._keys,
                    self._forgotten,
                    int(forget),
                    *given[start : start + TOGETHER],
                )
        if given:
            await self._rewrite()
        return count

    async def _rewrite(self) -> None:
        """Let the server write its append-only file again, without what was destroyed. Some services do that themselves."""
        with suppress(RedisError):
            await self._client.bgrewriteaof()

    async def lift(self, names: Collection[str]) -> None:
        if names:
            with _answering("lift what is forgotten"):
                await _script("lift").run(self._client, 2, self._keys, self._forgotten, *names)

    async def forgotten(self) -> frozenset[str]:
        with _answering("read what is forgotten"):
            answer: Any = self._client.smembers(self._forgotten)
            return frozenset(_text(one) for one in await answer)

    async def put(self, records: Mapping[str, KeyRecord]) -> None:
        parts = [part for name, record in records.items() for part in (name, spell_record(record))]
        if parts:
            with _answering("copy keys"):
                await _script("put").run(self._client, 2, self._keys, self._forgotten, *parts)

    async def scan(self) -> AsyncIterator[tuple[str, KeyRecord]]:
        cursor = 0
        while True:
            with _answering("read keys"):
                answer: Any = self._client.hscan(self._keys, cursor, count=TOGETHER)
                cursor, found = await answer
            for name, text in found.items():
                yield _text(name), parse_record(_text(text))
            if not cursor:
                return

    async def rewrap(self, name: str, version: int, old: str, new: str) -> None:
        with _answering("wrap keys"):
            await _script("rewrap").run(self._client, 1, self._keys, name, version, old, new)

    async def put_pending(self, id: str, wrapped: str) -> None:  # noqa: A002  # the port
        with _answering("keep an operation"):
            answer: Any = self._client.hset(self._pending, id, wrapped)
            await answer

    async def pending(self) -> Mapping[str, str]:
        with _answering("read operations"):
            answer: Any = self._client.hgetall(self._pending)
            return {_text(id): _text(one) for id, one in (await answer).items()}  # noqa: A001  # of the operation

    async def remove_pending(self, id: str) -> None:  # noqa: A002  # the port
        with _answering("remove an operation"):
            answer: Any = self._client.hdel(self._pending, id)
            await answer

    async def aclose(self) -> None:
        await self._client.aclose()


@contextmanager
def _answering(what: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        found = unavailable(what, error)
        raise KeyStoreUnavailable(
            found.message.replace("Redis:", "the key store in Redis:", 1), remedy=found.remedy
        ) from error


@cache
def _script(name: str) -> Script:
    text = files("resegment.state.keys").joinpath(f"{name}.lua").read_text("utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
