"""Put pseudonyms into what goes to tables, where personal fields are sealed: tables never hold personal text then.

A person is the name of the key that their facts are sealed with. It names nobody, stays the same as long as the prefix has
its key store, and joins rows as the person would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from resegment.agents.batch import Record, RecordedMessage
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.schemas.privacy.facts import SEALED, account_of, has_personal, keys_of, seal_fact, subject_of
from resegment.schemas.privacy.fields import personal_fields
from resegment.schemas.privacy.messages import take_apart
from resegment.schemas.privacy.names import names_of
from resegment.state.keys.keyring import Keyring

_OUTCOME: Final = b'"outcome"'
_PERSONAL: Final = personal_fields("outcome")

Conceal = Callable[[str, Sequence[Record]], Awaitable[Sequence[Record]]]
"""Turns records of a topic, by its name without the prefix, into those that rows are made of."""


class Pseudonyms:
    """Conceals persons in records of a prefix, those from before it had keys too."""

    def __init__(self, keyring: Callable[[], Awaitable[Keyring | None]]) -> None:
        self._keyring = keyring

    async def conceal(self, topic: str, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records without what names a person, each in its place. Raises KeyStoreUnavailable."""
        ring = await self._keyring()
        if ring is None:
            return records
        if topic == "signals":
            return await _conceal_facts(ring, records)
        return [_strip(one) for one in records]


def _strip(record: Record) -> Record:
    parts = None if record.value is None else take_apart(record.value)
    return record if parts is None else _with_value(record, parts.without())


async def _conceal_facts(ring: Keyring, records: Sequence[Record]) -> Sequence[Record]:
    facts: dict[int, Fact] = {}
    for place, record in enumerate(records):
        if (
            record.key is not None
            and _OUTCOME in (record.value or b"")
            and (fact := _read(record)) is not None
        ):
            facts[place] = fact
    plain = {
        place: (account_of(fact), subject_of(fact))
        for place, fact in facts.items()
        if not keys_of(fact) and has_personal(fact, _PERSONAL)
    }
    pairs = await ring.pairs(set(plain.values()))
    concealed = list(records)
    for place, fact in facts.items():
        if place in plain:
            pair = pairs[plain[place]]
            if pair is None:  # the account or the person is forgotten
                concealed[place] = _with_value(records[place], None)
                continue
            fact = seal_fact(fact, _PERSONAL, pair)  # noqa: PLW2901  # as intake would have
        if SEALED in fact.data:
            concealed[place] = _with_value(records[place], encode_fact(_named(ring, fact)))
    return concealed


def _read(record: Record) -> Fact | None:
    try:
        fact = decode_fact(record.value or b"")
    except msgspec.DecodeError:
        return None
    return fact if fact.kind == "outcome" else None


def _named(ring: Keyring, fact: Fact) -> Fact:
    """Return a sealed fact with the name of its person's key as the person, and without what is sealed."""
    data: dict[str, Any] = {name: one for name, one in fact.data.items() if name != SEALED}
    names = names_of(keys_of(fact))
    if names and names[-1] != ring.names.texts(account_of(fact)):
        data["person"] = names[-1]
    return msgspec.structs.replace(fact, data=data)


def _with_value(record: Record, value: bytes | None) -> Record:
    return RecordedMessage(record.offset, record.timestamp, record.key, value, record.headers)
