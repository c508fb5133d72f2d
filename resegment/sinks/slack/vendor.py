"""Slack as a sink: tell an account's owner what to do, once, in a direct message or a channel."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from resegment.sinks.operation import Operation, OperationKind
from resegment.sinks.port import (
    WITHHELD,
    Answer,
    Call,
    Limit,
    Options,
    Part,
    Request,
    Result,
    Steps,
    Vendor,
    Verdict,
    judge_status,
    look,
    once,
    repeat,
)

EVENT: Final = "resegment_command"
"""The type of the metadata by which a message is found again."""
MAX_TEXT: Final = 3_800
"""Characters of a message: Slack advises against more than 4,000, and cuts at 40,000."""
PAGES: Final = 5
"""How many pages of 200 messages are looked through."""

_SIGNED_OUT: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"}
)
_LATER: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_LOST: Final = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})
_GONE: Final = frozenset(
    {"channel_not_found", "is_archived", "users_not_found", "user_not_found", "user_disabled"}
)


class SlackOptions(Options):
    """The options of a Slack workspace."""

    channel: str | None = Field(
        None, description="The id of the channel for owners that Slack does not know by their e-mail address"
    )


class SlackTarget(Part):
    """Where the messages of a workflow go."""

    channel: str | None = Field(
        None, description="The id of a channel; default: a direct message to the owner"
    )


class Slack:
    """One workspace."""

    def __init__(self, options: SlackOptions) -> None:
        self._fallback = options.channel

    def carry_out(self, operation: Operation) -> Steps:
        target = operation.target
        channel = target.channel if isinstance(target, SlackTarget) else None
        note = ""
        if channel is None:
            channel, note = yield from self._find_owner(operation)
        if channel is None:
            return Result("refused", note)
        # a dry run opens no direct message: it has the user's id, and nothing to look through
        found = None if channel[:1] in {"U", "W"} else (yield from _find(channel, operation))
        if isinstance(found, Result):
            return found
        body = {
            "channel": channel,
            "text": _write(operation),
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {
                "event_type": EVENT,
                "event_payload": {"key": operation.key, "account": operation.account},
            },
        }
        answer = yield once(Request("POST", "/api/chat.postMessage", body=body), "message", looked=True)
        if answer.verdict == "gone":
            return Result("gone", f"the channel {channel} is gone: {_tell(answer)}")
        if not answer.ok:
            return Result("refused", f"Slack refused the message: {_tell(answer)}")
        references = {"channel": channel, "message": str(answer.get("ts", default=""))}
        return Result("applied", "told the owner" + note, references=references)

    def check(self) -> Steps:
        answer = yield look(Request("POST", "/api/auth.test"))
        if not answer.ok:
            return Result("refused", _tell(answer))
        return Result("applied", f"signed in as {answer.get('user')} in the workspace {answer.get('team')}")

    def judge(self, answer: Answer) -> Verdict:
        if not 200 <= answer.status < 300 or answer.get("ok") is True:
            return judge_status(answer)
        error = answer.get("error")
        if not isinstance(error, str):
            return "lost"  # a page of somebody between us and Slack
        for verdict, errors in _VERDICTS.items():
            if error in errors:
                return verdict
        return "refused"

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        return request.with_headers(("Authorization", f"Bearer {secrets['token']}"))

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets

    def _find_owner(self, operation: Operation) -> Generator[Call, Answer, tuple[str | None, str]]:
        """Return the channel of the owner, or the one for owners that Slack does not know, and what to say about that."""
        owner = operation.owner
        user = None if owner is None else owner.ids.get("user")
        why = (
            "the account has no owner"
            if owner is None
            else f"{owner.name} has no e-mail address in sinks.yaml"
        )
        if owner is not None and user is None and owner.email:
            answer = yield look(Request("GET", "/api/users.lookupByEmail", query=(("email", owner.email),)))
            user = answer.get("user", "id") if answer.ok else None
            why = f"Slack does not know {owner.name} by {owner.email}: {_tell(answer)}"
        if isinstance(user, str):
            answer = yield repeat(Request("POST", "/api/conversations.open", body={"users": user}))
            if answer is WITHHELD:
                return user, ""
            channel = answer.get("channel", "id")
            if answer.ok and isinstance(channel, str):
                return channel, ""
            why = f"no direct message to {user}: {_tell(answer)}"
        if self._fallback is None:
            return None, f"nobody to tell: {why}; set `channel` of the sink for such accounts"
        return self._fallback, f", in the channel {self._fallback}: {why}"


def _find(channel: str, operation: Operation) -> Generator[Call, Answer, Result | None]:
    """Return the result if the message is there already."""
    cursor = ""
    for _ in range(PAGES):
        query = [("channel", channel), ("limit", "200"), ("include_all_metadata", "true")]
        if operation.at:
            query.append(("oldest", f"{datetime.fromisoformat(operation.at).timestamp() - 60:.6f}"))
        if cursor:
            query.append(("cursor", cursor))
        answer = yield look(
            Request("GET", "/api/conversations.history", query=tuple(query)), expects="messages"
        )
        if answer.verdict == "gone":
            return Result("gone", f"the channel {channel} is gone: {_tell(answer)}")
        if not answer.ok:
            return Result("refused", f"Slack does not show the channel {channel}: {_tell(answer)}")
        for message in answer.rows("messages"):
            payload = Answer(200, message).get("metadata", "event_payload", "key")
            if payload == operation.key:
                references = {"channel": channel, "message": str(message.get("ts", ""))}
                return Result("applied", "the message was there already", references=references)
        cursor = answer.get("response_metadata", "next_cursor", default="")
        if not isinstance(cursor, str) or not cursor:
            return None
    return None


def _write(operation: Operation) -> str:
    text = f"*{_escape(operation.brief.title)}*\n{_escape(operation.brief.text)}".strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _tell(answer: Answer) -> str:
    error: Any = answer.get("error")
    return str(error)[:100] if error else f"status {answer.status}"


_VERDICTS: Final[dict[Verdict, frozenset[str]]] = {
    "unauthorized": _SIGNED_OUT,
    "retry": _LATER,
    "lost": _LOST,
    "gone": _GONE,
}
_TELLS: Final = "a message to the owner, who does it by hand"
_INSTEAD: Final[dict[OperationKind, str]] = {
    "enroll": "a message to the owner with the brief",
    "stop": _TELLS,
    "finish": _TELLS,
    "pause": _TELLS,
    "reassign": "a message to the new owner with the brief",
}

SLACK: Final = Vendor(
    name="slack",
    title="Slack",
    base="https://slack.com",
    capabilities=frozenset({"task"}),
    credentials=(("token",),),
    target=SlackTarget,
    options=SlackOptions,
    build=Slack,
    owner_ids={"user": "the id of the Slack user; without it, the user is found by e-mail address"},
    limits=(Limit(50, 60.0),),
    instead=_INSTEAD,
)
