"""Keep the call log of sinks: one hash for each account at each sink, and the limits of each sink."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.logs.call_log import AccountCalls, LoggedCall, LoggedContact, LoggedResult
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import calls_key, limits_key
from resegment.state.redis.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis

KEPT_DAYS: Final = 400
"""Days after which the log of an account is forgotten that no command was for."""
KEPT_RESULTS: Final = 100
"""How many results of an account are kept: a repeated command comes soon after the first."""


class RedisCallLog:
    """The call log of one sink. Every call raises StoreUnavailable.

    A field of an account's hash is `call:KEY:STEP`, `result:KEY`, `chosen:KEY`, `enrolled:WORKFLOW` or `sequence`.
    """

    def __init__(self, client: Redis, prefix: str, sink: str) -> None:
        self._client, self._prefix, self._sink = client, prefix, sink
        self._script = load_script("calls")

    async def read(self, account: str) -> AccountCalls:
        """Return what is logged of an account."""
        with answering("read the call log"):
            held: Any = await self._client.hgetall(self._key(account))
        calls: dict[tuple[str, str], LoggedCall] = {}
        results: dict[str, LoggedResult] = {}
        chosen: dict[str, list[LoggedContact]] = {}
        enrolled: dict[str, list[LoggedContact]] = {}
        for raw, value in held.items():
            what, _, name = raw.decode().partition(":")
            if what == "call":
                key, _, step = name.partition(":")
                calls[key, step] = _call_decoder.decode(value)
            elif what == "result":
                results[name] = _result_decoder.decode(value)
            elif what == "chosen":
                chosen[name] = _contacts_decoder.decode(value)
            elif what == "enrolled":
                enrolled[name] = _contacts_decoder.decode(value)
        return AccountCalls(calls, results, chosen, enrolled, int(held.get(b"sequence", 0)))

    async def write(
        self, account: str, key: str, step: str, before: LoggedCall | None, after: LoggedCall | None
    ) -> bool:
        old, new = (b"" if one is None else msgspec.msgpack.encode(one) for one in (before, after))
        field = f"call:{key}:{step}"
        with answering("write the call log"):
            done = await self._script.run(self._client, 1, self._key(account), field, old, new, _TTL)
        return bool(done)

    async def choose(self, account: str, key: str, contacts: Sequence[LoggedContact]) -> None:
        await self._set(account, {f"chosen:{key}": msgspec.msgpack.encode(list(contacts))}, [])

    async def enroll(self, account: str, enrolled: Mapping[str, Sequence[LoggedContact]]) -> None:
        fields = {f"enrolled:{name}": msgspec.msgpack.encode(list(found)) for name, found in enrolled.items()}
        if fields:
            await self._set(account, fields, [])

    async def settle(
        self,
        account: str,
        key: str,
        result: LoggedResult,
        enrolled: Mapping[str, Sequence[LoggedContact]],
    ) -> None:
        known = await self.read(account)
        over = [f"chosen:{key}"]
        over += [f"call:{one}:{step}" for one, step in known.calls if one == key or one.startswith(f"{key}.")]
        old = sorted((at.at, name) for name, at in known.results.items())
        over += [f"result:{name}" for _, name in old[: max(0, len(old) - KEPT_RESULTS)]]
        fields = {f"result:{key}": msgspec.msgpack.encode(result)}
        for workflow, contacts in enrolled.items():
            fields[f"enrolled:{workflow}"] = msgspec.msgpack.encode(list(contacts))
        if result.sequence > known.sequence:
            fields["sequence"] = str(result.sequence).encode()
        await self._set(account, fields, over)

    async def _set(self, account: str, fields: Mapping[str, bytes], over: Sequence[str]) -> None:
        # One command writes everything that counts; what comes after it only tidies up.
        key = self._key(account)
        pipe = self._client.pipeline(transaction=False)
        pipe.hset(key, mapping=dict[Any, Any](fields))
        if over:
            pipe.hdel(key, *over)
        pipe.pexpire(key, _TTL)
        with answering("write the call log"):
            await pipe.execute()

    def _key(self, account: str) -> str:
        return calls_key(self._prefix, self._sink, account)


_TTL: Final = KEPT_DAYS * 86_400_000
"""Milliseconds."""
_call_decoder: Final = msgspec.msgpack.Decoder(LoggedCall)
_result_decoder: Final = msgspec.msgpack.Decoder(LoggedResult)
_contacts_decoder: Final = msgspec.msgpack.Decoder(list[LoggedContact])


class RedisLimiter:
    """The limits of one sink, counted in Redis for all processes.

    Of `requests` in `seconds`, a tenth may come at once and the others evenly, so that no window of that length has more.
    """

    def __init__(
        self, client: Redis, prefix: str, sink: str, limits: Sequence[tuple[int, float, str]]
    ) -> None:
        """`limits`: requests, seconds, and a pattern of paths, empty for all."""
        self._client, self._key = client, limits_key(prefix, sink)
        self._script = load_script("limits")
        self._limits: list[tuple[re.Pattern[str] | None, tuple[str, int, float]]] = []
        for number, (requests, seconds, paths) in enumerate(limits):
            burst = max(1, requests // 10)
            gap = seconds / (requests - burst + 1)
            pattern = re.compile(paths) if paths else None
            self._limits.append((pattern, (f"{number}:{requests}:{seconds:g}", burst, gap)))

    async def take(self, request: Any) -> float:
        """Return 0 and count the request, or the seconds after which to ask again. Raises StoreUnavailable."""
        parts = [
            part
            for pattern, limit in self._limits
            if pattern is None or pattern.search(request.path)
            for part in limit
        ]
        if not parts:
            return 0.0
        with answering("count a request"):
            wait = await self._script.run(self._client, 1, self._key, *parts)
        return float(wait)
