"""Keep tokens and sessions in Redis, so that all processes of the console share them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from redis.exceptions import NoPermissionError

from resegment.state.access.records import Session, Token
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import console_key, session_key, tokens_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")
_SECRET: Final = "secret"  # noqa: S105  # the name of the field


class RedisAccessStore:
    """The `AccessStore` of a prefix."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._secret: bytes | None = None

    async def read_secret(self) -> bytes:
        if self._secret is None:
            key = console_key(self._prefix)
            with answering("read the secret of the console"):
                found: Any = await _wait(self._client.hget(key, _SECRET))
                if found is None:
                    found = await self._make_secret(key)
            self._secret = bytes(found)
        return self._secret

    async def _make_secret(self, key: str) -> bytes:
        """Return the secret that the first process makes; one of this process alone where its user may only look."""
        made = secrets.token_urlsafe(32)
        try:
            await _wait(self._client.hsetnx(key, _SECRET, made))
        except NoPermissionError:
            return made.encode()
        found: bytes = await _wait(self._client.hget(key, _SECRET))
        return found

    async def read_tokens(self) -> Mapping[str, Token]:
        with answering("read the tokens"):
            held: Any = await _wait(self._client.hgetall(tokens_key(self._prefix)))
        found = {digest.decode(): _decode(value, Token) for digest, value in held.items()}
        return {digest: token for digest, token in found.items() if token is not None}

    async def find_token(self, digest: str) -> Token | None:
        with answering("find a token"):
            return _decode(await _wait(self._client.hget(tokens_key(self._prefix), digest)), Token)

    async def keep_token(self, digest: str, token: Token) -> None:
        with answering("keep a token"):
            await _wait(self._client.hset(tokens_key(self._prefix), digest, _encode(token)))

    async def find_session(self, digest: str) -> Session | None:
        with answering("find a session"):
            return _decode(await _wait(self._client.get(session_key(self._prefix, digest))), Session)

    async def keep_session(self, digest: str, session: Session, idle: int) -> None:
        with answering("keep a session"):
            await self._client.set(session_key(self._prefix, digest), _encode(session), px=idle)

    async def touch_session(self, digest: str, idle: int) -> None:
        with answering("keep a session"):
            await self._client.pexpire(session_key(self._prefix, digest), idle)

    async def end_session(self, digest: str) -> None:
        with answering("end a session"):
            await self._client.delete(session_key(self._prefix, digest))


async def _wait(answer: Any) -> Any:
    return await answer


def _encode(value: Token | Session) -> str:
    return msgspec.json.encode(value).decode()


def _decode(value: Any, kind: type[T]) -> T | None:
    """Return what is kept; None for nothing, and for what a later release wrote in another form."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError:
        return None
