"""Record a command before it changes anything, and what came of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.exceptions import NoPermissionError

from resegment.agents.batch import Message, Publisher
from resegment.errors import ResegmentError
from resegment.schemas.contracts.audit import AuditEntry, encode_entry
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import audit_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

MAX_ITEMS: Final = 100
"""How many items of a list are kept of an argument."""
MAX_TEXT: Final = 500
"""How many characters are kept of a text."""


class OnlyLooks(ResegmentError):
    """The user of Redis may only read, and the command changes something."""

    def __init__(self, action: str) -> None:
        super().__init__(
            f"this Redis user may only look: `resegment {action}` changes something",
            remedy="Set RESEGMENT_REDIS_USERNAME to a user with the rights of resegment-worker in "
            "docs/operations/redis.acl.",
        )
        self.action = action


class NotRecorded(ResegmentError):
    """The command could not be written to the audit log, so it was not carried out."""

    def __init__(self, action: str, topic: str, cause: ResegmentError) -> None:
        super().__init__(
            f"`resegment {action}` was not carried out, because it cannot be recorded in {topic}: {cause.message}",
            remedy="Workers create the topic when they start; who runs the command needs the right to write to it "
            "(docs/operations/kafka-acls.sh).",
        )
        self.action, self.topic, self.cause = action, topic, cause


async def check_may_change(client: Redis, prefix: str, action: str, actor: str) -> None:
    """Note in Redis who begins to change what. Raises OnlyLooks if this user may not write there, StoreUnavailable."""
    key = audit_key(prefix)
    entry: Any = {"action": action, "actor": actor, "at": str(time.time_ns() // 1_000_000)}
    with answering("note who changes something"):
        try:
            answer: Any = client.hset(key, mapping=entry)
            await answer
        except NoPermissionError as error:
            raise OnlyLooks(action) from error


@dataclass(slots=True)
class Recording:
    """A command that is carried out; put into `result` what came of it."""

    begun: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """The audit log of a prefix, for one person. `publishing` opens a publisher to its Kafka."""

    client: Redis
    prefix: str
    topic: str
    actor: str
    publishing: Callable[[], AbstractAsyncContextManager[Publisher]]

    @asynccontextmanager
    async def recording(self, action: str, arguments: Mapping[str, Any]) -> AsyncIterator[Recording]:
        """Record that a command begins, run the block, and record what came of it.

        Raises OnlyLooks or NotRecorded before the block. If only the result cannot be written, that is logged.
        """
        await check_may_change(self.client, self.prefix, action, self.actor)
        kept = {name: shorten(value) for name, value in arguments.items() if value not in (None, [], ())}
        recording = Recording(uuid.uuid4().hex)
        async with AsyncExitStack() as stack:
            try:
                publisher = await stack.enter_async_context(self.publishing())
                await self._write(publisher, recording, action, kept, "begun")
            except ResegmentError as error:
                raise NotRecorded(action, self.topic, error) from error
            try:
                yield recording
            except BaseException as error:
                why = error.message if isinstance(error, ResegmentError) else type(error).__name__
                await self._end(publisher, recording, action, kept, "failed", why[:MAX_TEXT])
                raise
            await self._end(publisher, recording, action, kept, "done")

    async def _end(self, publisher: Publisher, recording: Recording, action: str, *about: Any) -> None:
        try:
            await self._write(publisher, recording, action, *about)
        except ResegmentError as failed:
            log.warning("the result is not in the audit log", action=action, error=failed.message)

    async def _write(
        self,
        publisher: Publisher,
        recording: Recording,
        action: str,
        kept: dict[str, Any],
        stage: str,
        error: str | None = None,
    ) -> None:
        result = {name: shorten(value) for name, value in recording.result.items()}
        entry = AuditEntry(
            id=recording.begun if stage == "begun" else uuid.uuid4().hex,
            at=time.time_ns() // 1_000_000,
            action=action,
            actor=self.actor,
            stage=stage,
            begun=recording.begun,
            arguments=kept,
            result=result if stage == "done" else None,
            error=error,
        )
        await publisher.publish([Message(self.topic, None, encode_entry(entry), (), 0)])


def shorten(value: Any) -> Any:
    """Return an argument or a result as the log keeps it: plain, and bounded in size."""
    if isinstance(value, list | tuple | set | frozenset):
        items = [shorten(one) for one in value]
        return (
            items if len(items) <= MAX_ITEMS else [*items[:MAX_ITEMS], f"and {len(items) - MAX_ITEMS:,} more"]
        )
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."
