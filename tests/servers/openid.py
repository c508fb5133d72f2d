"""A provider of OpenID Connect that checks PKCE, over real HTTP: oidc-provider-mock, with what it leaves out."""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from werkzeug.serving import make_server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import oidc_provider_mock


@dataclass
class OpenId:
    """The provider while it runs. `begun` are the requests for a login, `wrong` the codes that came with a wrong verifier.

    `forge` changes what a login asks for on its way to the provider.
    """

    url: str = ""
    begun: list[Mapping[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    challenges: dict[str, str] = field(default_factory=dict)
    host: str | None = None
    """The name that it says it has, if not its own."""
    forge: Callable[[dict[str, str]], dict[str, str]] | None = None

    def approve(self, login: str, sub: str) -> str:
        """Log a person in, as their browser does; return the address that the provider sends it back to."""
        answered = httpx.post(login, data={"sub": sub}, follow_redirects=False)
        assert answered.status_code == 302, answered.text
        return answered.headers["location"]

    def deny(self, login: str) -> str:
        """The same for a person who changes their mind."""
        return httpx.post(login, data={"action": "deny"}, follow_redirects=False).headers["location"]

    def add(self, sub: str, **claims: Any) -> None:
        """Add a person."""
        httpx.put(f"{self.url}/users/{sub}", json=claims).raise_for_status()


@contextmanager
def openid() -> Iterator[OpenId]:
    """Run the provider during the block."""
    running = OpenId()
    server = make_server(
        "127.0.0.1", 0, _checking(oidc_provider_mock.app(require_nonce=True), running), threaded=True
    )
    running.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _checking(app: Any, running: OpenId) -> Any:
    """Note the challenge of each code, and refuse a code without its verifier."""

    def checked(environ: dict[str, Any], start: Any) -> Any:
        if running.host is not None:
            environ["HTTP_HOST"] = running.host
        path, query = environ["PATH_INFO"], _one(parse_qs(environ.get("QUERY_STRING", "")))
        if path == "/oauth2/authorize" and environ["REQUEST_METHOD"] == "POST":
            if running.forge is not None:
                query = running.forge(query)
                environ["QUERY_STRING"] = "&".join(f"{name}={value}" for name, value in query.items())
            running.begun.append(query)

            def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                place = dict(headers).get("Location", "")
                code = _one(parse_qs(urlsplit(place).query)).get("code")
                if code is not None and query.get("code_challenge_method") == "S256":
                    running.challenges[code] = query["code_challenge"]
                return start(status, headers, *rest)

            return app(environ, started)
        if path == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            given = _one(parse_qs(body.decode()))
            digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
            challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
            if running.challenges.get(given.get("code", "")) != challenge:
                running.wrong.append(given.get("code", ""))
                start("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
        return app(environ, start)

    return checked


def _one(fields: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in fields.items()}
