"""Look at dead letters and send them again, also edited: the newest only, at a bounded rate, and recorded."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from resegment.errors import TransientError, UserError
from resegment.http.intake.access import Access
from resegment.http.intake.quarantine import is_body, retry_bodies
from resegment.http.operations.place import Place
from resegment.sources.adapters.port import Context
from resegment.streams.kafka.admin import count_partitions
from resegment.streams.live.cached import Cached
from resegment.streams.operations.dead_letters import (
    DeadLetter,
    DeadLetters,
    look_at_dead_letters,
    may_be_edited,
    retry_dead_letters,
)

NEWEST: Final = 5_000
"""How many of the newest records of each partition pages read."""
FRESH: Final = 3.0
"""Seconds for which they are shown again."""
AT_ONCE: Final = 2_000
"""How many letters one request sends again at most."""
SLICE: Final = 100
PAUSE: Final = 0.2
"""Seconds between two slices: at most 500 letters a second."""


class RetryUnderWay(TransientError):
    """Another retry is not done yet."""

    def __init__(self) -> None:
        super().__init__("another retry is under way", remedy="Wait until it is done, and try again.")


class NoSuchLetter(UserError):
    """No dead letter of the newest has that id."""

    def __init__(self, letter: str) -> None:
        super().__init__(
            f"there is no dead letter {letter[:200]}",
            remedy=f"Pages show the newest {NEWEST:,} records of each partition. "
            "`resegment dead-letters show` finds older ones.",
        )
        self.letter = letter


class NotEditable(UserError):
    """A dead letter whose value cannot be changed."""

    def __init__(self, letter: str, why: str) -> None:
        super().__init__(
            f"{letter[:200]} cannot be edited: {why}", remedy="Send it again as it is, or leave it."
        )
        self.letter = letter


class Sent(NamedTuple):
    """What came of a retry: letters sent again, those still refused at once, and those left out."""

    sent: int
    refused: int = 0
    left_out: int = 0

    def describe(self) -> dict[str, int]:
        """Return it for the audit log. What was sent may still be refused where it arrives."""
        return {"sent": self.sent, "not_sent": self.refused + self.left_out}


class Letters(Protocol):
    """The dead letters of a prefix, and how an operator sends them again."""

    async def look(self) -> DeadLetters:
        """Return the newest dead letters. Raises TopicUnreadable."""
        ...

    def is_editable(self, letter: DeadLetter) -> bool:
        """Return whether another value can be sent in its place."""
        ...

    async def retry(self, actor: str, ids: Sequence[str], edited: Mapping[str, bytes]) -> Sent:
        """Send letters again, some with another value.

        Raises NoSuchLetter, NotEditable, RetryUnderWay, NotRecorded, OnlyLooks, PublishFailed and TopicUnreadable.
        """
        ...


class LiveLetters:
    """The `Letters` of a running prefix. `access` returns what the intake's file says of sources of your own."""

    def __init__(self, place: Place, access: Callable[[], Access]) -> None:
        self._place, self._access = place, access
        self._newest: Cached[DeadLetters] = Cached(FRESH)
        self._retrying = asyncio.Lock()

    async def look(self) -> DeadLetters:
        one = self._place.connection
        return await self._newest.get(
            lambda: look_at_dead_letters(
                one.bootstrap,
                one.topics.dead_letters.name,
                newest=NEWEST,
                security=one.security,
                opener=one.opener,
            )
        )

    def is_editable(self, letter: DeadLetter) -> bool:
        return (is_body(letter) and letter.is_whole) or may_be_edited(self._place.connection.topics, letter)

    async def retry(self, actor: str, ids: Sequence[str], edited: Mapping[str, bytes]) -> Sent:
        if self._retrying.locked():
            raise RetryUnderWay
        async with self._retrying:
            self._newest.drop()
            held = (await self.look()).letters
            chosen = [self._find(held, one) for one in dict.fromkeys(ids)][:AT_ONCE]
            for letter in edited:
                if not self.is_editable(self._find(held, letter)):
                    raise NotEditable(letter, "only whole events of sources can be")
            asked = {
                "ids": list(ids),
                "edited": [_tell_edit(held[one], value) for one, value in edited.items()],
            }
            async with self._place.trail(actor).recording("dead-letters retry", asked) as recording:
                try:
                    found = await self._send(chosen, edited)
                finally:
                    self._newest.drop()
                recording.result |= found.describe()
                return found

    def _find(self, held: Mapping[str, DeadLetter], letter: str) -> DeadLetter:
        if letter not in held:
            raise NoSuchLetter(letter)
        return held[letter]

    async def _send(self, chosen: Sequence[DeadLetter], edited: Mapping[str, bytes]) -> Sent:
        one = self._place.connection
        whole = [letter for letter in chosen if letter.is_whole and "topic" in letter.about]
        records = [letter for letter in whole if not is_body(letter)]
        bodies = [_with_body(letter, edited.get(letter.id)) for letter in whole if is_body(letter)]
        now, sent = time.time_ns() // 1_000_000, 0
        async with self._place.publisher("resegment-retry") as publisher:
            read = await retry_bodies(
                bodies, one.topics, publisher, now, self._access(), Context(unresolved=True)
            )
            partitions = await asyncio.to_thread(count_partitions, one.bootstrap, one.topics, **one.security)
            for start in range(0, len(records), SLICE):
                if start:
                    await asyncio.sleep(PAUSE)
                some = records[start : start + SLICE]
                sent += await retry_dead_letters(
                    some, one.topics, publisher, now, partitions=partitions, edited=edited
                )
        return Sent(sent + read.bodies, read.refused, len(chosen) - sent - read.bodies - read.refused)


def _with_body(letter: DeadLetter, value: bytes | None) -> DeadLetter:
    from dataclasses import replace  # noqa: PLC0415

    return letter if value is None else replace(letter, original=value)


def _tell_edit(letter: DeadLetter, value: bytes) -> str:
    """Return what is recorded of an edit: the letter, and the hashes of what it was and became."""
    before, after = (hashlib.sha256(one).hexdigest()[:16] for one in (letter.original or b"", value))
    return f"{letter.id} from sha256 {before} to {after}"
