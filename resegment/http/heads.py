"""Answer HEAD as GET is answered, without the body."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Asks the application what GET would be answered, and leaves out the body. A stream ends once it has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        more = asyncio.Event()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif message.get("more_body"):
                more.set()

        work = asyncio.ensure_future(self._app({**scope, "method": "GET"}, receive, answer))
        streams = asyncio.ensure_future(more.wait())
        try:
            await asyncio.wait({work, streams}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            streams.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
        if not work.cancelled():
            work.result()
