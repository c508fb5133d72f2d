"""Open sealed records for those who read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from resegment.agents.batch import Record, UnreadableRecord
from resegment.errors import FatalError
from resegment.schemas.privacy.envelope import DataKey, Tampered
from resegment.schemas.privacy.messages import keys_of_message, may_be_sealed, open_message
from resegment.state.keys.keyring import Keyring, PreparedKeys
from resegment.streams.sealing.letters import Opened, is_sealed_letter, keys_of_letter, open_letter


class NoKeysToOpen(FatalError):
    """A message is sealed, and the process has no keys: to decide without what is in it would decide otherwise."""

    def __init__(self) -> None:
        super().__init__(
            "messages of this prefix are sealed, and this process has no keys to open them",
            remedy="Set RESEGMENT_KEYS and RESEGMENT_KEY as the other processes of the prefix have them.",
        )


class RecordOpener:
    """Opens changes, commands, events for the router, and dead letters. Without a keyring it leaves them as they are.

    A record that does not open (somebody changed it, or moved it) becomes an `UnreadableRecord`. One whose key was destroyed
    is there without what named persons. `strict` is for those who decide by the records: they need the keys.
    """

    def __init__(
        self, keyring: Callable[[], Awaitable[Keyring | None]] | None = None, *, strict: bool = False
    ) -> None:
        self._keyring, self._strict = keyring, strict

    async def each(self, batches: AsyncIterator[Sequence[Any]]) -> AsyncIterator[Sequence[Any]]:
        """Yield batches of records, opened. Raises as `open` does."""
        async for records in batches:
            yield await self.open(records)

    async def open(self, records: Sequence[Any]) -> Sequence[Any]:
        """Return the records, opened, each in its place. Raises KeyStoreUnavailable and NoKeysToOpen."""
        sealed = {
            place: one
            for place, one in enumerate(records)
            if may_be_sealed(one.value) or is_sealed_letter(one)
        }
        if not sealed:
            return records
        ids = {key for one in sealed.values() for key in keys_of_letter(one) or keys_of_message(one.value)}
        ring = None if self._keyring is None else await self._keyring()
        if ring is None:
            if self._strict and ids:
                raise NoKeysToOpen
            return records
        keys = await ring.prepare(ids)
        opened = list(records)
        for place, one in sealed.items():
            opened[place] = open_record(one, keys)
        return opened


PLAIN: Final = RecordOpener()
"""Opens nothing: for what has no keys."""


def open_record(record: Record, keys: PreparedKeys | dict[str, DataKey]) -> Record:
    """Return a record opened with keys that were looked up, or what stands for one that does not open."""
    try:
        if is_sealed_letter(record):
            return open_letter(record, keys)
        value = record.value
        opened = value if value is None else open_message(value, keys)
    except Tampered as refused:
        return UnreadableRecord(
            offset=record.offset,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=record.headers,
            reason=refused.reason,
            problem=refused.message,
            topic=getattr(record, "topic", ""),
            partition=getattr(record, "partition", -1),
        )
    if opened is value:
        return record
    return Opened(
        record.offset,
        record.timestamp,
        record.key,
        opened,
        record.headers,
        getattr(record, "topic", ""),
        getattr(record, "partition", -1),
    )
