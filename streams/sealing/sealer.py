"""Seal messages at the last moment before they go to Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from resegment.agents.batch import Message
from resegment.schemas.privacy.messages import Parts, take_apart
from resegment.schemas.shrinking import ChangeTooLarge, fit_change
from resegment.state.keys.keyring import Keyring
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.letters import (
    fields_of_letter,
    is_letter,
    seal_letter,
    strip_letter,
    subject_of_letter,
)

MOST_BYTES: Final = 700_000
"""The most bytes of a message before it is sealed: what is sealed takes a third more as text."""


class MessageSealer:
    """Seals what names persons in changes, commands and events for the router, and dead letters as a whole.

    Where an account or a person is forgotten, the message goes out without that part.
    """

    def __init__(self, keyring: Callable[[], Awaitable[Keyring | None]], topics: Topics) -> None:
        self._keyring = keyring
        self._messages = {
            one.name for one in (topics.segment_changes, topics.workflow_commands, topics.routing_events)
        }
        self._letters = {topics.dead_letters.name, topics.unresolved.name}

    async def seal(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages, sealed. Raises KeyStoreUnavailable."""
        parts: dict[int, Parts] = {}
        letters: dict[int, tuple[str, str | None]] = {}
        for place, one in enumerate(messages):
            if one.topic in self._messages and one.value is not None:
                if (found := take_apart(_fit(one.value))) is not None:
                    parts[place] = found
            elif one.topic in self._letters and is_letter(one):
                letters[place] = subject_of_letter(one)
        if not parts and not letters:
            return messages
        accounts = {one.account for one in parts.values()} | {account for account, _ in letters.values()}
        ring = await self._keyring()
        if ring is None:
            return messages
        of_accounts = await ring.message_pairs(accounts)
        of_persons = await ring.pairs({one for one in letters.values() if one[1] is not None})
        await ring.refresh_forgotten()
        sealed = list(messages)
        for place, found in parts.items():
            keys = of_accounts[found.account]
            sealed[place] = sealed[place]._replace(
                value=found.without() if keys is None else found.sealed(keys)
            )
        for place, subject in letters.items():
            letter, pair = sealed[place], of_accounts[subject[0]]
            person = None if subject[1] is None else of_persons[subject]
            is_gone = ring.forgets and ring.forgets_person(*subject, fields_of_letter(letter))
            if is_gone or pair is None or (person is None and subject[1] is not None):
                sealed[place] = strip_letter(letter)
            else:  # it may also quote others of the account: it goes with any of them
                sealed[place] = seal_letter(letter, pair if person is None else (*pair, person[1]))
        return sealed


def _fit(value: bytes) -> bytes:
    if len(value) <= MOST_BYTES:
        return value
    try:
        return fit_change(value, MOST_BYTES)
    except (ChangeTooLarge, ValueError, LookupError, TypeError):  # no change: the broker decides
        return value
