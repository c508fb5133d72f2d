"""Find what counts again of accounts that were forgotten once, as workers do: by places in the log, not by times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from resegment.agents.batch import Record
from resegment.agents.deciding.merging import is_step
from resegment.schemas.identities.steps import decode_step
from resegment.schemas.logs.decoding import decode_value


class Lift(NamedTuple):
    """Where a forget was lifted: the offset in the account's partition of `signals`, and how many changes it had had."""

    offset: int
    changes: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts of accounts that are or were forgotten: what came after the forget was lifted. Of others all counts."""

    absent: Collection[str]
    lifts: Mapping[str, Lift] = field(default_factory=dict)

    def has_fact(self, account: str, offset: int) -> bool:
        """Return whether a fact at an offset of the account's partition counts."""
        if account not in self.absent:
            return True
        lift = self.lifts.get(account)
        return lift is not None and offset > lift.offset

    def has_message(self, account: str, value: bytes | None) -> bool:
        """Return whether a change counts, or a command by the change that it follows from; not where it does not say."""
        if account not in self.absent:
            return True
        lift = self.lifts.get(account)
        if lift is None:
            return False
        try:
            data = decode_value(_decoder, value).data
        except msgspec.DecodeError:
            return False
        number = data.sequence_number or data.cause.sequence_number
        return number is not None and number > lift.changes


async def find_lifts(
    batches: AsyncIterator[Sequence[Record]], accounts: Collection[str]
) -> Mapping[str, Lift]:
    """Return where the latest forget of each account was lifted, from the records of `signals`.

    An account whose latest forget was not lifted yet is not among them.
    """
    found: dict[str, Lift] = {}
    async for records in batches:
        for record in records:
            if record.key is not None or not is_step(record):
                continue
            try:
                step = decode_step(record.value or b"")
            except msgspec.DecodeError:  # workers set it aside
                continue
            if step.account not in accounts:
                continue
            if step.step == "lift":
                found[step.account] = Lift(record.offset, step.sequence)
            elif step.step == "forget":
                found.pop(step.account, None)
    return found


class _Cause(msgspec.Struct, frozen=True):
    sequence_number: int | None = None


class _Data(msgspec.Struct, frozen=True):
    sequence_number: int | None = None
    cause: _Cause = _Cause()


class _Message(msgspec.Struct, frozen=True):
    data: _Data


_decoder: Final = msgspec.json.Decoder(_Message)
