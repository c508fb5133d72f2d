"""Seal a log that is copied: its facts, and those that steps of merges carry."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from resegment.agents.batch import Message
from resegment.agents.deciding.merging import STEP
from resegment.agents.privacy.sealing import FactSealer
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.schemas.identities.steps import Step, decode_step, encode_step, pack_facts, unpack_facts
from resegment.schemas.privacy.facts import keys_of


class LogSealer:
    """Seals the records of `signals` as they are copied. What is sealed already stays; what is forgotten is left out."""

    def __init__(self, sealer: FactSealer, topic: str, *, was_sealed: bool) -> None:
        """`topic` is the new one. In a log that `was_sealed`, an envelope is one; else it is a field like others."""
        self._sealer, self._topic, self._was_sealed = sealer, topic, was_sealed

    async def seal(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages, sealed, in their order. Raises KeyStoreUnavailable."""
        facts: dict[int, Fact] = {}
        steps: dict[int, tuple[Step, Sequence[Fact]]] = {}
        for place, one in enumerate(messages):
            if one.topic != self._topic or one.value is None:
                continue
            try:
                if any(name == STEP for name, _ in one.headers):
                    if (step := decode_step(one.value)).facts:
                        steps[place] = step, unpack_facts(step.facts)
                elif one.key is not None:
                    facts[place] = decode_fact(one.value)
            except msgspec.DecodeError:
                continue  # workers set it aside, in the copy as in the old log
        if not facts and not steps:
            return messages
        sealed = list[Message | None](messages)
        for place, fact in zip(facts, await self._seal(list(facts.values())), strict=True):
            if fact is None:
                sealed[place] = None
            elif fact is not facts[place]:
                sealed[place] = messages[place]._replace(value=encode_fact(fact))
        for place, (step, carried) in steps.items():
            kept = [one for one in await self._seal(carried) if one is not None]
            packed = msgspec.structs.replace(step, facts=pack_facts(kept))
            sealed[place] = messages[place]._replace(value=encode_step(packed))
        return [one for one in sealed if one is not None]

    async def _seal(self, facts: Sequence[Fact]) -> Sequence[Fact | None]:
        plain = {place: one for place, one in enumerate(facts) if not (self._was_sealed and keys_of(one))}
        found = list[Fact | None](facts)
        for place, one in zip(plain, await self._sealer.seal(list(plain.values())), strict=True):
            found[place] = one
        return found
