"""Read the ledgers of accounts from the log: outcomes from `signals`, touches from `touches`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import suppress

import msgspec

from resegment.agents.batch import Batch, Record, is_readable
from resegment.agents.deciding.merging import is_step
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.identities.steps import Step, decode_step
from resegment.schemas.outcomes.facts import to_outcome
from resegment.schemas.outcomes.ledger import LoggedItem, OutcomesForgotten
from resegment.schemas.outcomes.messages import decode_touch
from resegment.schemas.privacy.opening import open_if_it_opens, open_with
from resegment.streams.ahead import leave_out
from resegment.streams.kafka.topic_reader import TopicUnreadable
from resegment.streams.recovery.replay import LogSource

_OUTCOME = b'"kind":"outcome"'
Items = tuple[str, LoggedItem]
"""The account in whose ledger an item is, and the item."""


async def read_logged(
    source: LogSource,
    partitions: Collection[int] | None = None,
    signals: int | None = None,
    touches: int | None = None,
) -> AsyncIterator[Items]:
    """Yield what the ledgers of some partitions have, of all if none are given.

    `signals` and `touches` are offsets of these topics at which to end. Raises TopicUnreadable, and what an archive raises.
    """
    async for one in read_outcomes(source, partitions, signals):
        yield one
    async for one in read_touches(source, partitions, touches):
        yield one


async def read_outcomes(
    source: LogSource, partitions: Collection[int] | None, upto: int | None = None
) -> AsyncIterator[Items]:
    """Yield the outcomes in the log. Those that were passed on after a merge are there twice, and count once."""
    topic = source.topics.signals.name
    async with source.reading(topic, partitions) as reader:
        numbers = sorted(reader.begins)
    gone: set[str] = set()
    for number in numbers:
        async with source.reading(topic, [number]) as reader:
            async for records in reader.to_end():
                wanted = [
                    one
                    for one in records
                    if (upto is None or one.offset < upto)
                    and one.value is not None
                    and (_OUTCOME in one.value or one.key is None)
                ]
                kept = await leave_out(source.ahead, Batch(topic, number, wanted)) if wanted else ()
                found = [one for record in kept if (one := _read_outcome(record)) is not None]
                opens = await open_with(source.fact_keys, [one for one in found if isinstance(one, Fact)])
                for one in found:
                    if isinstance(one, Step):
                        if one.step == "lift":
                            gone.discard(one.account)
                        else:
                            gone.add(one.account)
                            yield one.account, OutcomesForgotten()
                    elif one.account not in gone and (fact := open_if_it_opens(opens, one)) is not None:
                        yield fact.account, to_outcome(fact)


def _read_outcome(record: Record) -> Fact | Step | None:
    """Return the outcome of a record, or the step that forgets an account or lifts that; None for anything else."""
    if record.value is None or not is_readable(record):
        return None
    with suppress(msgspec.DecodeError):  # a dead letter: the segmenter set it aside too
        if record.key is None:
            step = decode_step(record.value) if is_step(record) else None
            return None if step is None or step.step not in ("forget", "lift") else step
        fact = decode_fact(record.value)
        if fact.kind == "outcome" and record.key == fact.account.encode():
            return fact
    return None


async def read_touches(
    source: LogSource, partitions: Collection[int] | None, upto: int | None = None
) -> AsyncIterator[Items]:
    """Yield the touches, what voids them, and the keys that mean them too. A prefix of an earlier release has none."""
    try:
        async with source.reading(source.topics.touches.name, partitions) as reader:
            async for records in reader.to_end():
                for record in records:
                    ends = upto is not None and record.offset >= upto
                    if ends or record.value is None or not is_readable(record):
                        continue
                    with suppress(ValueError):  # not the router's
                        item = decode_touch(record.value)
                        if record.key == item.account.encode():
                            yield item.account, item
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
