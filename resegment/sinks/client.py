"""Send requests to a vendor over HTTP. Whatever goes wrong is an answer; no URL is ever logged, for it may hold a key."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson

from resegment.sinks.port import Answer, Request

USER_AGENT: Final = "resegment-sinks/1"
MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of an answer that are read; a longer one counts as lost."""
MAX_TEXT: Final = 2_000
"""Characters that are kept of an answer that is not JSON."""
MAX_DEPTH: Final = 100
"""Levels of an answer; a deeper one counts as lost."""
CONNECT_TIMEOUT: Final = 10.0

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class VendorClient:
    """The API of one vendor. It follows no redirects, uses no proxies of the environment and keeps no cookies."""

    def __init__(self, base: str, *, timeout: float, connections: int = 8) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            base_url=base,
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def send(self, request: Request) -> Answer:
        """Send a request once, within the timeout as a whole."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(request)
        except _NOT_SENT as error:
            return Answer(0, f"no connection: {type(error).__name__}", unsent=True)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(0, f"no answer within {self._timeout:g} s")
        except Exception as error:  # noqa: BLE001  # a server can provoke any error of the HTTP library
            return Answer(0, f"the connection failed: {type(error).__name__}")

    async def _send(self, request: Request) -> Answer:
        built = build_request(self._client, request)
        response = await self._client.send(built, stream=True)
        try:
            parts, size = [], 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > MAX_BODY:
                    return Answer(0, f"the answer is longer than {MAX_BODY:,} bytes")
                parts.append(part)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = _decode(b"".join(parts))
        if _is_deep(body):
            return Answer(0, f"the answer is nested more than {MAX_DEPTH} levels deep")
        return Answer(response.status_code, body, headers)


def build_request(client: httpx.AsyncClient, request: Request) -> httpx.Request:
    """Return the HTTP request: JSON unless it has a form, with its own headers last."""
    content: bytes | None = None
    headers = httpx.Headers()
    if request.form:
        content = str(httpx.QueryParams(list(request.form))).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif request.body is not None:
        content = orjson.dumps(request.body)
        headers["Content-Type"] = "application/json"
    for name, value in request.headers:
        headers[name] = value
    params: Any = list(request.query) or None
    return client.build_request(request.method, request.path, params=params, content=content, headers=headers)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")[:MAX_TEXT] if body else None
