"""What an agent receives and what it publishes: raw records of one partition, and messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from resegment.errors import RefusedEvent, TransientError
from resegment.schemas.cloudevents.traces import TRACEPARENT

Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """One raw Kafka record, in the client's own record type (nothing is copied)."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, in offset order, never empty."""

    topic: str
    partition: int
    records: Sequence[Record]
    start: int | None = None
    """The offset from which they were read: up to the first record there were only markers of transactions."""


class Message(NamedTuple):
    """A message to publish. `partition` None: murmur2 of the key; `timestamp` None: the producer's clock (ms)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    timestamp: int | None = None


class PublishFailed(TransientError):
    """Some of the messages were not acknowledged by all replicas in time; `cause` says why.

    `too_large`: a topic accepts no messages of such a size, now or later.
    """

    def __init__(self, topics: Sequence[str], cause: BaseException, *, too_large: bool = False) -> None:
        super().__init__(
            f"not all messages to {', '.join(topics)} were acknowledged: {cause!r}",
            remedy="Check that the brokers answer and have room. A worker publishes them again by itself; "
            "run a command again: what arrives twice counts once.",
        )
        self.topics = topics
        self.cause = cause
        self.too_large = too_large


class Publisher(Protocol):
    """Publishes messages to Kafka."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in order, and return when all in-sync replicas have acknowledged every message.

        Raises `PublishFailed` if any message was not acknowledged; the caller then counts none as published.
        """
        ...


class Trace(Protocol):
    """The trace that the work of this task belongs to."""

    @property
    def id(self) -> str:
        """Return the id of the trace, or of one of several, in hexadecimal."""
        ...

    def stamp(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages, each with the trace of the record that led to it in its headers."""
        ...


TRACE: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""Set while a batch or request is worked on of which something is traced."""


class _Given(NamedTuple):
    """A trace that is only passed on."""

    traceparent: str

    @property
    def id(self) -> str:
        return self.traceparent.split("-")[1]

    def stamp(self, messages: Sequence[Message]) -> Sequence[Message]:
        return [stamp(one, self.traceparent) for one in messages]


@contextmanager
def passing_on(traceparent: str) -> Iterator[None]:
    """Give the messages that are made in the block a trace, and make no span."""
    token = TRACE.set(_Given(traceparent))
    try:
        yield
    finally:
        TRACE.reset(token)


def stamp(message: Message, traceparent: str) -> Message:
    """Return the message with a trace, unless it has one: a dead letter has that of its record."""
    if any(name == TRACEPARENT for name, _ in message.headers):
        return message
    return message._replace(headers=[*message.headers, (TRACEPARENT, traceparent.encode())])


def stamped(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages, with the trace that they belong to if there is one."""
    trace = TRACE.get()
    return messages if trace is None else trace.stamp(messages)


class RecordedMessage(NamedTuple):
    """A concrete `Record`, for tests and for records read back one at a time."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class UnreadableRecord(NamedTuple):
    """What stands for a record, or for a whole batch of them, that could not be unpacked: the bytes, and why."""

    offset: int
    timestamp: int
    """-1 where it is not known."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    """The slug of its dead letter."""
    problem: str
    timestamp_type: int = 0
    topic: str = ""
    partition: int = -1


def size_of(record: Record) -> int:
    """Return about how many bytes a record has. A producer may put any amount of them into headers."""
    size = len(record.value or b"") + len(record.key or b"")
    return size + sum(len(name) + len(one or b"") for name, one in record.headers) if record.headers else size


def is_readable(record: object) -> bool:
    """Return whether the record could be unpacked."""
    return not isinstance(record, UnreadableRecord)


def require_readable(record: Record) -> None:
    """Raise RefusedEvent for a record that could not be unpacked."""
    if isinstance(record, UnreadableRecord):
        raise RefusedEvent(record.reason, record.problem)
