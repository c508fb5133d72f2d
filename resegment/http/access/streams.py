"""End a stream with the session of who reads it: a page that stays open must not outlive a revoked token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERY: Final = 5.0
"""Seconds between two looks at the session of a stream."""


async def ending_with_session(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    is_known: Callable[[], Awaitable[bool]],
    *,
    every: float = EVERY,
) -> None:
    """Run the application. If it answers with a stream of events, end that once `is_known` says no."""
    ended = asyncio.Event()
    watching: asyncio.Task[None] | None = None
    is_done = False

    async def watch() -> None:
        while await is_known():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), every)
        ended.set()

    async def sending(message: Message) -> None:
        nonlocal watching, is_done
        if message["type"] == "http.response.start":
            kind = Headers(raw=message.get("headers", [])).get("content-type", "")
            if kind.startswith("text/event-stream"):
                watching = asyncio.create_task(watch(), name="console: session of a stream")
        else:
            is_done = is_done or not message.get("more_body", False)
        await send(message)

    async def receiving() -> Message:
        if ended.is_set():
            return {"type": "http.disconnect"}
        waits = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if waits[0].done():
                return waits[0].result()
            return {"type": "http.disconnect"}
        finally:
            for one in waits:
                one.cancel()

    try:
        await app(scope, receiving, sending)
        if ended.is_set() and not is_done:
            with suppress(OSError):  # the browser is gone too
                await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
