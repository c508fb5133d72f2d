"""Stand between Kafka clients and the embedded broker: records reach the broker, and acks the client, once on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from kafka.protocol.consumer import ListOffsetsRequest

from resegment.embedded.gateway.acceptance import find_refusal
from resegment.embedded.gateway.committer import Committer
from resegment.embedded.gateway.connections import BrokerSide, ClientSide, RecordSide, Slot
from resegment.embedded.gateway.watching import (
    WATCHED,
    Note,
    correct_beginnings,
    decode_request,
    find_notes,
)
from resegment.embedded.gateway.wire import (
    LIST_OFFSETS,
    PRODUCE,
    STORAGE_ERROR,
    Answered,
    Malformed,
    Produced,
    RequestHead,
    await_all,
    read_answer,
    read_head,
    read_produce,
    refuse,
)
from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.journal import now_ms
from resegment.embedded.journal.writer import DiskFull
from resegment.errors import FatalError

log = logging.getLogger(__name__)


_RETRY: Final = 0.5
"""Seconds after which what is not a record is written again where the disk was full."""


class BrokerDiverged(FatalError):
    """The broker in memory does not have what the journal has; `problem` says how."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the embedded broker is not as its journal: {problem}",
            remedy="Start again: the journal has everything that was accepted.",
        )
        self.problem = problem


class Gateway:
    """Serves clients. `failed` resolves with the error that ends it."""

    def __init__(self, committer: Committer, host: str, port: int) -> None:
        """`host` and `port` are those of the broker."""
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._committer, self._host, self._port = committer, host, port
        self._stopping = False
        self._unproven = set[str]()
        """Topics that nobody asked to be made, and of which the broker has acknowledged nothing yet."""
        self._records = RecordSide(self._lose)

    async def start(self) -> None:
        """Connect to the broker. Raises OSError."""
        await asyncio.get_running_loop().create_connection(lambda: self._records, self._host, self._port)

    def accept(self) -> ClientSide:
        """Return what serves one client."""
        return ClientSide(self._connect, self._handle)

    async def stop(self) -> None:
        """Return when everything that was taken in is written and answered; `accept` no more by then."""
        await self._committer.settle()
        while not self._records.is_idle and not self.failed.done():  # noqa: ASYNC110  # milliseconds
            await asyncio.sleep(0.005)
        self._stopping = True
        self._records.transport.close()

    def fail(self, error: BaseException) -> None:
        """End the gateway with this error."""
        if not self.failed.done():
            self.failed.set_result(error)

    def _lose(self) -> None:
        if not self._stopping:
            self.fail(BrokerDiverged("it closed the connection for records"))

    async def _connect(self, client: ClientSide) -> BrokerSide:
        _, side = await asyncio.get_running_loop().create_connection(
            lambda: BrokerSide(client), self._host, self._port
        )
        return side

    def _handle(self, client: ClientSide, frame: bytes) -> None:
        try:
            head = read_head(frame)
            if head.key == PRODUCE:
                self._take_records(client, frame, read_produce(frame))
                return
            slot = self._look_at(client, frame, head)
        except Malformed as error:
            log.warning("a request is refused, and its connection closed: %s", error)
            client.close()
            return
        client.forward(frame, slot)

    # Records

    def _take_records(self, client: ClientSide, frame: bytes, produced: Produced) -> None:
        slot = None if produced.acks == 0 else client.expect()
        if error := find_refusal(produced, self._committer.partitions_of):
            log.warning("records are refused with error %d", error)
            if slot is not None:
                client.answer(slot, refuse(produced, error))
            return
        bases: dict[tuple[str, int], int] = {}
        now = now_ms()
        self._unproven |= {
            one.topic for one in produced.appended if self._committer.partitions_of(one.topic) is None
        }

        def build(draft: Draft) -> None:
            for topic, partition, batches in produced.appended:
                base = draft.append(topic, partition, now, batches)
                bases.setdefault((topic, partition), base)

        def send(full: DiskFull | None) -> None:
            """Give the broker what is on disk."""
            if full is None:
                self._records.send(await_all(frame, produced), acknowledge)
            elif slot is not None:
                client.answer(slot, refuse(produced, STORAGE_ERROR))

        def acknowledge(answer: bytes) -> None:
            if self._agrees(read_answer(answer, produced.version), bases) and slot is not None:
                client.answer(slot, answer)

        self._committer.add(build, send)

    def _agrees(self, told: Sequence[Answered], bases: Mapping[tuple[str, int], int]) -> bool:
        """Return whether the broker has the records where the journal has them; end the gateway if not."""
        for one in told:
            base = bases[one.topic, one.partition]
            if one.error and one.topic in self._unproven and not self._committer.was_asked_for(one.topic):
                # there is no such topic, or it was deleted
                self._committer.add(partial(Draft.delete_topic, name=one.topic), lambda _: None)
                continue
            self._unproven.discard(one.topic)
            if one.error or one.base != base:
                problem = (
                    f"{one.topic}-{one.partition} continues at {one.base}, not {base} (error {one.error})"
                )
                self.fail(BrokerDiverged(problem))
                return False
        return True

    # What else is looked at in an answer of the broker

    def _look_at(self, client: ClientSide, frame: bytes, head: RequestHead) -> Slot | None:
        if head.key == LIST_OFFSETS and (starts := self._committer.starts):
            asked = decode_request(frame, head, ListOffsetsRequest)
            return Slot(lambda data: correct_beginnings(asked, data, head, starts))
        kind = WATCHED.get(head.key)
        if kind is None:
            return None
        asked = decode_request(frame, head, kind.request)
        slot = Slot()

        def inspect(data: bytes) -> bytes | None:
            notes = find_notes(kind, asked, data, head)
            if not notes:
                return data
            self._note(notes, partial(client.answer, slot, data) if kind.waits else None)
            return None if kind.waits else data

        slot.inspect = inspect
        return slot

    def _note(self, notes: list[Note], then: Callable[[], None] | None) -> None:
        def build(draft: Draft) -> None:
            for note in notes:
                note(draft)

        def done(full: DiskFull | None) -> None:
            if then is None:
                return  # offsets: the next commit has the same ones or later ones
            if full is not None:
                asyncio.get_running_loop().call_later(_RETRY, self._committer.add, build, done)
            else:
                then()

        self._committer.add(build, done)
