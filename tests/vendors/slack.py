"""Slack as its Web API documents it: 200 for nearly everything, and `ok` says whether it worked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route


@dataclass
class SlackServer(VendorServer):
    users: dict[str, str] = field(default_factory=lambda: {"owner@example.com": "U01"})
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    unauthorized: ClassVar[Answer] = Answer(200, {"ok": False, "error": "token_revoked"})
    not_found: ClassVar[Answer] = Answer(200, {"ok": False, "error": "unknown_method"})

    @route("POST", "/api/auth.test")
    def auth_test(self, _: Request) -> Answer:
        return Answer(
            200, {"ok": True, "url": "https://t.slack.com/", "team": "Example", "user": "resegment"}
        )

    @route("GET", "/api/users.lookupByEmail")
    def lookup(self, request: Request) -> Answer:
        user = self.users.get(dict(request.query)["email"])
        return _fail("users_not_found") if user is None else Answer(200, {"ok": True, "user": {"id": user}})

    @route("POST", "/api/conversations.open")
    def open(self, request: Request) -> Answer:
        return Answer(200, {"ok": True, "channel": {"id": "D" + request.body["users"]}})

    @route("GET", "/api/conversations.history")
    def history(self, request: Request) -> Answer:
        given = dict(request.query)
        if given["channel"] == "C404":
            return _fail("channel_not_found")
        there = self.messages[given["channel"]][::-1]
        start = int(given.get("cursor", "0"))
        limit = int(given["limit"])
        more = str(start + limit) if len(there) > start + limit else ""
        shown = there[start : start + limit]
        return Answer(200, {"ok": True, "messages": shown, "response_metadata": {"next_cursor": more}})

    @route("POST", "/api/chat.postMessage")
    def post(self, request: Request) -> Answer:
        body = request.body
        if body["channel"] == "C404":
            return _fail("channel_not_found")
        message = {"ts": f"17.{self.next_id()}", "text": body["text"], "metadata": body["metadata"]}
        self.messages[body["channel"]].append(message)
        self.told[body["metadata"]["event_payload"]["key"]] += 1
        return Answer(200, {"ok": True, "channel": body["channel"], "ts": message["ts"], "message": message})


def _fail(error: str) -> Answer:
    return Answer(200, {"ok": False, "error": error})
