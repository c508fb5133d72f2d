"""Ask for a forget or its undo, destroy the keys at once, and wait until workers have done the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from resegment.errors import UserError
from resegment.identity.merges import Identities, Operation
from resegment.schemas.identities.records import Forget, Lift
from resegment.schemas.privacy.names import NOBODY
from resegment.state.keys.keyring import Keyring
from resegment.streams.forgetting.forgetting import destroy_keys
from resegment.streams.forgetting.pending import PendingForget, keep_pending, new_pending
from resegment.streams.identities.log import reading_identities, take_all, write_identity
from resegment.streams.identities.requests import Connection
from resegment.streams.kafka.topic_reader import TopicReader


class ForgetRefused(UserError):
    """What was asked for makes no sense as things are now."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            reason,
            remedy="`resegment verify --forgotten` shows what is forgotten, `resegment accounts merges` which accounts are merged.",
        )
        self.reason = reason


class PersonsNeedKeys(UserError):
    """Without keys a person's facts lie in the log as plain text, and nothing can take them out."""

    def __init__(self) -> None:
        super().__init__(
            "a person can be forgotten only where personal fields are sealed",
            remedy="Set RESEGMENT_KEYS and RESEGMENT_KEY, and move to a new prefix with `resegment privacy encrypt`. "
            "Without them, `resegment forget ACCOUNT` forgets a whole account.",
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request. `operation` is None where nothing was to be done."""

    operation: Operation | None
    outcome: Literal["nothing", "done", "pending"]
    refused: str = ""


def name_persons(ring: Keyring, accounts: Iterable[str], spellings: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a person's keys: at each account, and in dead letters of no account."""
    names = ring.names
    return tuple(names.person(account, one) for account in (*accounts, NOBODY) for one in spellings)


async def request_forget(
    connection: Connection,
    ring: Keyring | None,
    wish: Forget,
    spellings: Sequence[str] = (),
    *,
    patience: float,
) -> Asked:
    """Record what is to be forgotten, destroy its keys, and wait up to `patience` seconds for workers.

    What is asked for already is not recorded again, but its keys are destroyed again; if it is not complete, this waits for it. Raises ForgetRefused,
    TopicUnreadable, PublishFailed and StoreUnavailable.
    """
    async with reading_identities(connection.bootstrap, connection.topics, connection.security) as reader:
        identities = await take_all(reader)
        why = identities.why_not_forgotten(wish.account)
        if why is not None:
            raise ForgetRefused(why)
        number = _find_forget(identities, wish)
        if number is None:
            if ring is not None:
                wish = replace(wish, pending=new_pending())
                await keep_pending(ring, PendingForget(wish=wish, spellings=tuple(spellings)))
                path = (wish.account, *identities.aliases_of(wish.account))
                about = wish.at, wish.author, path, wish.persons, wish.texts
                await destroy_keys(ring, Operation(0, "forget", wish.account, wish.account, *about))
            before = identities.taken
            await write_identity(connection.publisher, connection.topics, wish)
        else:
            before = number - 1
            if ring is not None:  # a backup of the key store may have brought them back
                await destroy_keys(ring, identities.operations[number])
            if number in identities.settled:
                return Asked(identities.operations[number], "nothing")
        return await _await(reader, identities, wish, before, number, patience)


async def request_lift(connection: Connection, wish: Lift, *, patience: float) -> Asked:
    """Record that facts count again, and wait up to `patience` seconds for workers. Raises as `request_forget` does."""
    async with reading_identities(connection.bootstrap, connection.topics, connection.security) as reader:
        identities = await take_all(reader)
        if not _is_forgotten(identities, wish):
            return Asked(None, "nothing")
        before = identities.taken
        await write_identity(connection.publisher, connection.topics, wish)
        return await _await(reader, identities, wish, before, None, patience)


def _find_forget(identities: Identities, wish: Forget) -> int | None:
    """Return the number of the operation that asks for the same already."""
    if not wish.persons:
        return identities.forgotten.get(wish.account)
    known = identities.forgotten_persons.get(wish.account, {})
    numbers = {known.get(one) for one in wish.persons}
    number = max((one for one in numbers if one is not None), default=None)
    if None in numbers or number is None:
        return None
    return None if wish.texts and not identities.operations[number].texts else number


def _is_forgotten(identities: Identities, wish: Lift) -> bool:
    if not wish.persons:
        return wish.account in identities.forgotten
    return not identities.forgotten_persons.get(wish.account, {}).keys().isdisjoint(wish.persons)


async def _await(
    reader: TopicReader,
    identities: Identities,
    wish: Forget | Lift,
    before: int,
    number: int | None,
    patience: float,
) -> Asked:
    kind = "forget" if isinstance(wish, Forget) else "lift"
    operation = None if number is None else identities.operations[number]
    try:
        async with asyncio.timeout(patience):
            async for records in reader.follow():
                for record in records:
                    identities.take(record.value)
                operation = operation or next(
                    (
                        one
                        for place, one in identities.operations.items()
                        if place > before and (one.kind, one.account) == (kind, wish.account)
                    ),
                    None,
                )
                if operation is None:
                    refused = [why for place, why in identities.refused.items() if place > before]
                    if refused:
                        raise ForgetRefused(refused[0])
                elif operation.number in identities.settled:
                    refused_why = identities.refused.get(operation.number, "")
                    return Asked(operation, "done", refused_why)
    except TimeoutError:
        pass
    return Asked(operation, "pending")
