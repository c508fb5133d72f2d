"""Keep what a sink wrote to the records of accounts: one hash for each sink."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.logs.call_log import WrittenFields
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import fields_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAPPING: Final = "#mapping"
"""The entry that has the names of fields by which the others were written: no account has such a name."""

_decoder: Final = msgspec.msgpack.Decoder(WrittenFields)


class FieldStore:
    """The hash of one sink. Every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str, sink: str) -> None:
        self._client, self._key = client, fields_key(prefix, sink)

    async def read(self, accounts: Sequence[str]) -> dict[str, WrittenFields]:
        """Return what was written to each account."""
        if not accounts:
            return {}
        with answering("read what was written to records"):
            held: Any = await self._client.hmget(self._key, list(accounts))
        return {
            account: WrittenFields() if raw is None else _decoder.decode(raw)
            for account, raw in zip(accounts, held, strict=True)
        }

    async def write(self, written: Mapping[str, WrittenFields]) -> None:
        """Keep what was written."""
        if written:
            fields: Any = {account: msgspec.msgpack.encode(one) for account, one in written.items()}
            with answering("keep what was written to records"):
                await self._client.hset(self._key, mapping=fields)

    async def read_mapping(self) -> dict[str, str] | None:
        """Return the names of fields by which records were written; None before the first."""
        with answering("read the names of fields"):
            raw: Any = await self._client.hget(self._key, MAPPING)
        return None if raw is None else msgspec.json.decode(raw, type=dict[str, str])

    async def write_mapping(self, names: Mapping[str, str]) -> None:
        """Keep the names of fields."""
        with answering("keep the names of fields"):
            await self._client.hset(self._key, MAPPING, msgspec.json.encode(names).decode())

    async def accounts(self) -> AsyncIterator[str]:
        """Yield every account that something was written for."""
        with answering("read what was written to records"):
            async for raw, _ in self._client.hscan_iter(self._key, count=1000):
                if (name := raw.decode()) != MAPPING:
                    yield name
