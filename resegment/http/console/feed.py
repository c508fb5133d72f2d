"""The live feed of changes: where a browser is in it, and how it follows, whatever breaks meanwhile."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from zlib import crc32

import orjson

from resegment.http.console.prefix import ConsolePrefix
from resegment.streams.live.queries import (
    ChangeRow,
    change_at,
    changes_after,
    has_after,
    newest_seq,
    places_upto,
    seq_before,
)

AT_ONCE: Final = 200
"""How many rows a message has at most, and how many are sent of a log that was begun again."""
BEAT: Final = 15.0
"""Seconds after which a silent feed says that it lives."""
READING: Final = 1.0
"""Seconds between two looks at whether the index has been read."""
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_NO_OFFSET: Final = 1 << 63
_PLACE: Final = re.compile(
    r"([0-9a-z]{1,13}(?:\.[0-9a-z]{1,13}){0,1023})(?:-([0-9a-z]{1,4})\.([0-9a-z]{1,7}))?", re.ASCII
)


@dataclass(slots=True)
class Place:
    """Up to where a feed was read: the offset from which each partition continues.

    `mark` is the partition of the newest change that was read, with a checksum of it: if there is another change at that
    offset now, the topic is another one.
    """

    offsets: dict[int, int] = field(default_factory=dict)
    mark: tuple[int, int] | None = None

    def take(self, rows: Sequence[ChangeRow]) -> None:
        """Note that rows were read."""
        for row in rows:
            part, off = row.place
            self.offsets[part] = max(self.offsets.get(part, 0), off + 1)
            self.mark = part, sum_of(row)

    def has(self, row: ChangeRow) -> bool:
        """Return whether a change comes before this place, so that a feed that continues here does not send it."""
        part, off = row.place
        return off < self.offsets.get(part, 0)

    def encode(self) -> str:
        """Return it as one short word."""
        text = _encode_offsets(self.offsets)
        return (
            text if self.mark is None else f"{text}-{_in_base_36(self.mark[0])}.{_in_base_36(self.mark[1])}"
        )


def sum_of(row: ChangeRow) -> int:
    """Return the checksum of a change."""
    return crc32(f"{row.account} {row.at} {row.decided} {row.from_} {row.to}".encode("utf-8", "replace"))


def decode_place(text: str | None) -> Place | None:
    """Return the place that a word says; None where it says none."""
    match = None if text is None else _PLACE.fullmatch(text)
    if match is None:
        return None
    offsets = {number: int(part, 36) for number, part in enumerate(match[1].split("."))}
    if max(offsets.values()) >= _NO_OFFSET:
        return None
    return Place(offsets, None if match[2] is None else (int(match[2], 36), int(match[3], 36)))


def _encode_offsets(offsets: Mapping[int, int]) -> str:
    if not offsets:
        return "0"
    return ".".join(_in_base_36(offsets.get(number, 0)) for number in range(max(offsets) + 1))


def _in_base_36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


async def find_end(prefix: ConsolePrefix) -> Place:
    """Return the place after everything that the index has."""
    newest = await prefix.find(newest_seq)
    found = Place(await prefix.find(partial(places_upto, upto=newest)))
    rows = await prefix.find(partial(changes_after, seq=newest - 1, most=1)) if newest else []
    if rows:
        found.mark = rows[0].place[0], sum_of(rows[0])
    return found


class Feed:
    """Follows the changes of a prefix; `write` makes HTML of rows."""

    def __init__(self, prefix: ConsolePrefix, write: Callable[[Sequence[ChangeRow]], str]) -> None:
        self._prefix, self._write = prefix, write
        self._place = Place()
        self._problem: str | None = None
        self._generation = prefix.progress.generation
        self._seq: int | None = None
        """The last change that was sent; None where the topic is another one and has to be begun."""

    async def follow(self, place: Place | None) -> AsyncIterator[bytes]:
        """Yield messages from a place on; None begins with what comes next."""
        yield b"retry: 1000\n\n"
        prefix = self._prefix
        if place is None:
            self._place, self._seq = await find_end(prefix), await prefix.find(newest_seq)
        else:
            self._place = place
            while (same := await self._is_same(place)) is None:
                yield self._tell_state() or b": reading\n\n"
                await prefix.wait_for_changes(READING)
            if same:
                upto = await prefix.find(newest_seq)
                self._seq = await prefix.find(partial(seq_before, places=place.offsets, upto=upto))
        while True:
            if (told := self._tell_state()) is not None:
                yield told
            if prefix.progress.generation != self._generation:
                self._generation, self._seq = prefix.progress.generation, None
            if self._seq is None:
                if "changes" in prefix.progress.done:
                    yield await self._begin()
                else:
                    yield b": reading\n\n"
                    await prefix.wait_for_changes(READING)
                continue
            if (message := await self._read(self._seq)) is not None:
                yield message

    async def _is_same(self, place: Place) -> bool | None:
        """Return whether a place is one of the topic that there is now; None as long as the index cannot tell."""
        if place.mark is None:
            return True
        part, checksum = place.mark
        off = place.offsets.get(part, 0) - 1
        row = await self._prefix.find(partial(change_at, part=part, off=off))
        if row is not None:
            return sum_of(row) == checksum
        if await self._prefix.find(partial(has_after, part=part, off=off)):
            return True  # the index has only the newest changes
        return False if "changes" in self._prefix.progress.done else None

    async def _begin(self) -> bytes:
        """Begin a topic that is another one with its newest changes; the page forgets those of the old one."""
        self._place = Place()
        self._seq = max(0, await self._prefix.find(newest_seq) - AT_ONCE)
        return b"event: begin\ndata: \n\n"

    async def _read(self, seq: int) -> bytes | None:
        """Return the next message; None where there is nothing to be said."""
        prefix = self._prefix
        found = await prefix.find(partial(changes_after, seq=seq, most=AT_ONCE))
        if prefix.progress.generation != self._generation:
            return None  # these may be of the new topic
        if not found:
            await prefix.wait_for_changes(BEAT)
            return b": still here\n\n" if await prefix.find(newest_seq) == seq else None
        self._seq = found[-1].seq
        # what another partition has after the place, or a console that was started again reads anew, was sent before
        fresh = [row for row in found if not self._place.has(row)]
        if not fresh:
            return None
        self._place.take(fresh)
        html = self._write(fresh)
        lines = "".join(f"data: {line}\n" for line in html.split("\n"))
        return f"event: changes\nid: {self._place.encode()}\n{lines}\n".encode()

    def _tell_state(self) -> bytes | None:
        """Return a message about whether changes come in, where that is another than before."""
        problem = self._prefix.progress.problem
        if problem == self._problem:
            return None
        self._problem = problem
        return b"event: state\ndata: %b\n\n" % orjson.dumps({"problem": problem})
