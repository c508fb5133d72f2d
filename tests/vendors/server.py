"""A vendor in memory, which behaves as its documentation says: for sinks' tests, in-process or over real HTTP."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote

import orjson

from resegment.sinks.port import Answer, Request

Handler = Callable[..., Answer]


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Mark a method as the handler of requests whose whole path matches; groups are its further arguments."""

    def mark(handler: Handler) -> Handler:
        handler.route = (method, re.compile(path))  # type: ignore[attr-defined]
        return handler

    return mark


@dataclass
class VendorServer:
    """Subclasses have handlers, each with `@route`. `signed_in` refuses every request while it is false."""

    received: list[Request] = field(default_factory=list)
    enrolled: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each contact was put into each sequence, by e-mail address and id: never more than once."""
    told: Counter[str] = field(default_factory=Counter)
    """How often an owner was told or got a task, by the idempotency key of the command."""
    revoked: bool = False
    numbers: int = 0

    unauthorized: ClassVar[Answer] = Answer(401, {"message": "unauthorized"})
    not_found: ClassVar[Answer] = Answer(404, {"message": "not found"})

    def answer(self, request: Request) -> Answer:
        """Carry out a request."""
        self.received.append(request)
        if self.revoked:
            return self.unauthorized
        for name in dir(type(self)):
            handler = getattr(type(self), name)
            method, pattern = getattr(handler, "route", ("", None))
            if method == request.method and (match := pattern.fullmatch(request.path)):
                return handler(self, request, *match.groups())
        return self.not_found

    def next_id(self) -> str:
        self.numbers += 1
        return str(1000 + self.numbers)


def read_request(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """Return a request as it came over HTTP, like the one that the sink made."""
    path, _, query = target.partition("?")
    kind = headers.get("content-type", "")
    form: list[tuple[str, str]] = []
    decoded: Any = None
    if "x-www-form-urlencoded" in kind:
        form = parse_qsl(body.decode(), keep_blank_values=True)
    elif body:
        decoded = orjson.loads(body)
    pairs = parse_qsl(query, keep_blank_values=True)
    return Request(method, unquote(path), pairs, decoded, form, sorted(headers.items()))  # type: ignore[arg-type]
