"""Read from `segment-changes` what a switch did to accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from resegment.schemas.logs.decoding import decode_value
from resegment.segmentation.planning.outcome import Outcome, compare_outcome
from resegment.segmentation.planning.plan import Plan
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

PATIENCE: Final = 20.0
"""Seconds for the outboxes to be published after a switch."""
LOOKED_AT: Final = 0.1


class _Cause(msgspec.Struct, frozen=True):
    definition: int | None = None


class _Data(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    account: str
    from_: str | None
    to: str | None
    cause: _Cause = _Cause()


class _Event(msgspec.Struct, frozen=True):
    data: _Data


_decoder: Final = msgspec.json.Decoder(_Event)


async def note_ends(bootstrap: str, topics: Topics, security: Mapping[str, Any]) -> dict[int, int]:
    """Return where each partition of `segment-changes` ends. Raises TopicUnreadable."""
    async with reading(bootstrap, topics.segment_changes.name, security=security) as log:
        return await log.ends()


async def find_outcome(
    plan: Plan,
    version: int,
    since: Mapping[int, int],
    reader: PrefixReader,
    bootstrap: str,
    topics: Topics,
    security: Mapping[str, Any],
) -> Outcome:
    """Compare the plan with the changes that a version made since some offsets. Raises TopicUnreadable."""
    await _wait_for_outboxes(reader)
    done: dict[str, tuple[str, str]] = {}
    unread = 0
    async with reading(bootstrap, topics.segment_changes.name, security=security) as log:
        for number, end in (await log.ends()).items():
            async for records in log.between(number, since.get(number, 0), end):
                for record in records:
                    try:
                        change = decode_value(_decoder, record.value).data
                    except msgspec.DecodeError:  # of another program, or another release
                        unread += 1
                        continue
                    if change.to is not None and change.cause.definition == version:
                        first = done.get(change.account, (change.from_ or "", ""))[0]
                        done[change.account] = (first, change.to)
    moved = {name: pair for name, pair in done.items() if pair[0] != pair[1]}
    return compare_outcome(plan, moved, unread=unread)


async def _wait_for_outboxes(reader: PrefixReader) -> None:
    """Wait until all that is committed by now is published, for at most `PATIENCE` seconds."""
    by = await reader.now()
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while any((one.waiting_since or by + 1) <= by for one in await reader.look()):  # noqa: ASYNC110  # Redis tells nobody
                await asyncio.sleep(LOOKED_AT)
