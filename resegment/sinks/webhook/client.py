"""Send events to one HTTP endpoint: signed, to a checked address, and trusting nothing that comes back."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import httpcore
import httpx

from resegment.errors import ResegmentError
from resegment.sinks.retry_after import read_retry_after
from resegment.sinks.webhook.addresses import AddressRefused, Guard
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.port import TRACE_OF_EVENT, SendResult, describe_error
from resegment.sinks.webhook.signing import Secret, sign

CONTENT_TYPE: Final = "application/cloudevents+json"
USER_AGENT: Final = "resegment-webhooks/1"
MAX_BODY: Final = 64 * 1024
"""Bytes of a response's body that are read, to use its connection again; they are not looked at."""
MAX_RECEIVED: Final = 256 * 1024
"""Bytes that are received after one request, whatever they are: informational responses, headers, chunks."""
CONNECT_TIMEOUT: Final = 5.0
"""How many seconds connecting may take."""
KEEP_ALIVE: Final = 30.0
"""Seconds that an idle connection is kept; so old may the check of its address be."""


class WrongAuthorities(ResegmentError):
    """The certificates that an endpoint is to be checked against cannot be read."""

    def __init__(self, path: str, cause: Exception) -> None:
        super().__init__(f"cannot read certificates from {path}: {cause}", remedy="Fix `ca` of the endpoint.")
        self.path, self.cause = path, cause


class HttpWebhook:
    """One endpoint over HTTP. It follows no redirects, uses no proxies of the environment and keeps no cookies."""

    def __init__(
        self,
        endpoint: Endpoint,
        secrets: Sequence[Secret],
        guard: Guard,
        *,
        headers: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`headers` are sent with every request; `now`: seconds since the epoch. Raises WrongAuthorities."""
        url = httpx.URL(endpoint.url)
        self._url = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        self._headers = [
            (b"Host", url.netloc),
            (b"User-Agent", USER_AGENT.encode()),
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
            (b"Content-Type", CONTENT_TYPE.encode()),
        ]
        own = {name.lower(): value for name, value in (headers or {}).items()}
        if "accept" in own:
            self._headers = [one for one in self._headers if one[0] != b"Accept"]
        self._headers += [(name.encode("ascii"), value.encode("ascii")) for name, value in own.items()]
        self._timeout, self._secrets, self._now = endpoint.timeout, tuple(secrets), now
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trust(endpoint),
            max_connections=endpoint.concurrency,
            max_keepalive_connections=endpoint.concurrency,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=_GuardedBackend(guard, plain=url.scheme == "http"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def send(self, message: str, body: bytes) -> SendResult:
        """Send an event once, within the endpoint's timeout as a whole."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):  # a read timeout starts again with every byte
                status, retry_after = await self._request(message, body)
            return SendResult(status, retry_after=retry_after, took=time.perf_counter() - begun)
        except (TimeoutError, httpcore.TimeoutException):
            problem = f"no answer within {self._timeout:g} s"
        except AddressRefused as refused:
            problem = refused.message
        except Exception as error:  # noqa: BLE001  # a receiver can provoke any error of the HTTP library
            problem = describe_error(error)
        return SendResult(problem=problem, took=time.perf_counter() - begun)

    async def _request(self, message: str, body: bytes) -> tuple[int, float | None]:
        timestamp = int(self._now())
        headers = [
            *self._headers,
            (b"Content-Length", str(len(body)).encode()),
            (b"webhook-id", message.encode()),
            (b"webhook-timestamp", str(timestamp).encode()),
            (b"webhook-signature", sign(self._secrets, message, timestamp, body).encode()),
        ]
        if (trace := TRACE_OF_EVENT.get()) is not None:
            headers.append((b"traceparent", trace.encode()))
        # The whole is limited by the caller; only connecting has a limit of its own.
        timeouts = {"connect": min(CONNECT_TIMEOUT, self._timeout)}
        async with self._pool.stream(
            "POST", self._url, headers=headers, content=body, extensions={"timeout": timeouts}
        ) as response:
            read = 0
            try:
                async for part in response.aiter_stream():
                    read += len(part)
                    if read > MAX_BODY:
                        break
            except (httpcore.NetworkError, httpcore.ProtocolError):
                pass  # the status is known, and the rest does not matter
            return response.status, find_retry_after(response.headers, self._now())


def find_retry_after(headers: Iterable[tuple[bytes, bytes]], now: float) -> float | None:
    """Return the seconds from `now` that the headers of a response ask for, or None."""
    found = next((value for name, value in headers if name.lower() == b"retry-after"), None)
    return None if found is None else read_retry_after(found.decode("latin-1"), now)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to a checked address. TLS, which comes after that, still verifies the host's name."""

    def __init__(self, guard: Guard, *, plain: bool) -> None:
        self._guard, self._plain = guard, plain
        self._inner = httpcore.AnyIOBackend()
        self._lookups: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers. Raises AddressRefused, ConnectError or ConnectTimeout."""
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            async with asyncio.timeout(timeout):
                for address in await self._find(host, port):
                    try:
                        stream = await self._inner.connect_tcp(
                            address, port, timeout, local_address, socket_options
                        )
                    except httpcore.ConnectError as error:
                        failed = error
                    else:
                        return _LimitedStream(stream)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection within {timeout:g} s") from error
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise httpcore.ConnectError(f"{host} cannot be resolved: {why}") from error
        raise failed

    async def _find(self, host: str, port: int) -> Sequence[str]:
        # One lookup for all connections that wait for it: each occupies a thread that other endpoints need, and a
        # thread cannot be canceled.
        place = host, port
        lookup = self._lookups.get(place)
        if lookup is None:
            lookup = self._lookups[place] = asyncio.create_task(
                self._guard.find(host, port, plain=self._plain)
            )
            lookup.add_done_callback(lambda done: self._forget(place, done))
        return await asyncio.shield(lookup)

    def _forget(self, place: tuple[str, int], lookup: asyncio.Task[Sequence[str]]) -> None:
        del self._lookups[place]
        if not lookup.cancelled():
            lookup.exception()  # nobody may be waiting for it any more

    async def sleep(self, seconds: float) -> None:
        """Sleep, for the retries of httpcore, which are off."""
        await self._inner.sleep(seconds)


class _LimitedStream(httpcore.AsyncNetworkStream):
    """A connection that receives a limited number of bytes after each request.

    Without it, a receiver could keep the process busy until the timeout, with informational responses without end.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._left = MAX_RECEIVED

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore's own
        """Receive some bytes. Raises ReadError if they are too many."""
        if self._left <= 0:
            raise httpcore.ReadError(f"the response is longer than {MAX_RECEIVED} bytes")
        received = await self._inner.read(min(max_bytes, self._left), timeout)
        self._left -= len(received)
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore's own
        """Send bytes of a request."""
        self._left = MAX_RECEIVED
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's own
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection with TLS."""
        encrypted: httpcore.AsyncNetworkStream | None = None
        try:
            encrypted = await self._inner.start_tls(ssl_context, server_hostname, timeout)
            return _LimitedStream(encrypted)
        finally:
            if (
                encrypted is None
            ):  # httpcore closes after errors, but not where the attempt's deadline cancels it
                await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks about the socket."""
        return self._inner.get_extra_info(info)


def _trust(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if endpoint.ca is None else str(endpoint.ca))
    except (OSError, ssl.SSLError) as error:
        raise WrongAuthorities(str(endpoint.ca), error) from error
