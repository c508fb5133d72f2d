"""Sends events to one HTTP endpoint: signed, to a checked address, and with nothing believed of what comes back."""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Final, Self

import httpcore
import httpx

from resegment.errors import ResegmentError
from resegment.sinks.webhook.addresses import AddressRefused, Guard
from resegment.sinks.webhook.endpoints import Endpoint
from resegment.sinks.webhook.port import SendResult
from resegment.sinks.webhook.signing import Secret, sign

CONTENT_TYPE: Final = "application/cloudevents+json"
USER_AGENT: Final = "resegment-webhooks/1"
MOST_READ: Final = 64 * 1024
"""Bytes of a response that are read, so that its connection may be used again; they are not looked at."""
CONNECTING: Final = 5.0
"""How many seconds connecting may take."""
KEPT: Final = 30.0
"""Seconds that an idle connection is kept; so old may the check of its address be."""


class WrongAuthorities(ResegmentError):
    """The certificates that an endpoint is to be checked against cannot be read."""

    def __init__(self, path: str, cause: Exception) -> None:
        super().__init__(f"cannot read certificates from {path}: {cause}", remedy="Fix `ca` of the endpoint.")
        self.path, self.cause = path, cause


class HttpWebhook:
    """One endpoint over HTTP. Redirects are not followed, and proxies of the environment not used."""

    def __init__(
        self,
        endpoint: Endpoint,
        secrets: Sequence[Secret],
        guard: Guard,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now`: seconds since the epoch. Raises WrongAuthorities."""
        self._url, self._timeout = httpx.URL(endpoint.url), endpoint.timeout
        self._secrets, self._now = tuple(secrets), now
        self._client = httpx.AsyncClient(
            transport=_Transport(guard, self._url, _trust(endpoint), endpoint.concurrency),
            timeout=httpx.Timeout(endpoint.timeout, connect=min(CONNECTING, endpoint.timeout)),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            follow_redirects=False,
            headers={"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def send(self, message: str, body: bytes) -> SendResult:
        """Send it once, within the endpoint's timeout as a whole."""
        timestamp = int(self._now())
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": message,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._secrets, message, timestamp, body),
        }
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):  # one byte now and then would outlast a read timeout
                status, asked = await self._request(headers, body)
        except (TimeoutError, httpx.TimeoutException):
            return SendResult(
                problem=f"no answer within {self._timeout:g} s", took=time.perf_counter() - begun
            )
        except (httpx.HTTPError, OSError) as error:
            return SendResult(problem=_describe(error), took=time.perf_counter() - begun)
        except AddressRefused as refused:
            return SendResult(problem=refused.message, took=time.perf_counter() - begun)
        return SendResult(status, retry_after=asked, took=time.perf_counter() - begun)

    async def _request(self, headers: dict[str, str], body: bytes) -> tuple[int, float | None]:
        async with self._client.stream("POST", self._url, headers=headers, content=body) as response:
            read = 0
            try:
                async for part in response.aiter_raw():
                    read += len(part)
                    if read > MOST_READ:
                        break
            except httpx.HTTPError:
                pass  # the status is there, and the rest says nothing
            return response.status_code, read_retry_after(response.headers.get("retry-after"), self._now())


def read_retry_after(text: str | None, now: float) -> float | None:
    """Seconds from `now` that a Retry-After asks for, given in seconds or as a date; None for what is neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own, connecting to addresses that the guard has checked."""

    def __init__(self, guard: Guard, url: httpx.URL, context: ssl.SSLContext, connections: int) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEPT,
            network_backend=_Checked(guard, plain=url.scheme == "http"),
        )


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to a checked address. TLS, which comes after that, still knows the host by its name."""

    def __init__(self, guard: Guard, *, plain: bool) -> None:
        self._guard, self._plain = guard, plain
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            async with asyncio.timeout(timeout):
                for address in await self._guard.find(host, port, plain=self._plain):
                    try:
                        return await self._inner.connect_tcp(
                            address, port, timeout, local_address, socket_options
                        )
                    except httpcore.ConnectError as error:
                        failed = error
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection within {timeout:g} s") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error.strerror or error}") from error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _trust(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if endpoint.ca is None else str(endpoint.ca))
    except (OSError, ssl.SSLError) as error:
        raise WrongAuthorities(str(endpoint.ca), error) from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
