"""Ask for a merge or unmerge, and wait until workers have carried it out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resegment.agents.batch import Publisher
from resegment.errors import ResegmentError
from resegment.identity.merges import Identities, Operation
from resegment.schemas.identities.records import Alias, Merge, Unmerge
from resegment.streams.identities.log import read_identities, reading_identities, take_all, write_identity
from resegment.streams.kafka.topics import Topics


class MergeRefused(ResegmentError):
    """What was asked for makes no sense as accounts are merged now, or could not be carried out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, remedy="`resegment accounts merges` shows which accounts are merged.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Connection:
    """What a request needs of a prefix."""

    publisher: Publisher
    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Requested:
    """What became of a request. `operation` is None where nothing was to be done."""

    identities: Identities
    operation: Operation | None
    outcome: Literal["nothing", "done", "pending"]


async def request(connection: Connection, wish: Merge | Unmerge, *, patience: float) -> Requested:
    """Record a wish, and wait up to `patience` seconds until it is carried out.

    A wish that holds already is not recorded again; if it is not carried out yet, this waits for it. Raises
    MergeRefused, TopicUnreadable and PublishFailed.
    """
    async with reading_identities(connection.bootstrap, connection.topics, connection.security) as reader:
        identities = await take_all(reader)
        operation = _find_same(identities, wish)
        if operation is None:
            _check(identities, wish)
            before = identities.taken
            await write_identity(connection.publisher, connection.topics, wish)
        else:
            before = operation.number - 1
            if operation.number in identities.settled:
                return Requested(identities, None, "nothing")
        try:
            async with asyncio.timeout(patience):
                async for records in reader.follow():
                    for record in records:
                        identities.take(record.value)
                    operation = operation or _find_new(identities, wish, before)
                    if operation is not None and operation.number in identities.settled:
                        if operation.number in identities.refused:
                            raise MergeRefused(identities.refused[operation.number])
                        return Requested(identities, operation, "done")
        except TimeoutError:
            return Requested(identities, operation, "pending")
    return Requested(identities, operation, "pending")


def _check(identities: Identities, wish: Merge | Unmerge) -> None:
    if isinstance(wish, Merge):
        why = identities.refusal(wish.alias, wish.account)
    else:
        why = None if wish.alias in identities.merged() else f"{wish.alias} is merged into no account"
    if why is not None:
        raise MergeRefused(why)


def _find_same(identities: Identities, wish: Merge | Unmerge) -> Operation | None:
    """Return the latest operation on the alias, if it is what is wished for."""
    latest = next((one for one in reversed(identities.operations.values()) if one.alias == wish.alias), None)
    if latest is None or latest.number in identities.refused:
        return None
    if isinstance(wish, Unmerge):
        return latest if latest.kind == "unmerge" else None
    same = latest.kind == "merge" and identities.account_of(latest.account) == identities.account_of(
        wish.account
    )
    return latest if same else None


def _find_new(identities: Identities, wish: Merge | Unmerge, before: int) -> Operation | None:
    kind = "merge" if isinstance(wish, Merge) else "unmerge"
    for number, one in identities.operations.items():
        if number > before and (one.kind, one.alias) == (kind, wish.alias):
            return one
    for number, why in identities.refused.items():
        if number > before and number not in identities.operations:
            raise MergeRefused(why)
    return None


Settling = Callable[[float], Awaitable[bool]]
"""Waits up to so many seconds; returns whether workers have put in again what waited."""


async def resolve_name(connection: Connection, wish: Alias) -> tuple[Identities, Settling]:
    """Record which account a name means, unless that is recorded; return what is known, and what waits for the workers.

    Raises TopicUnreadable and PublishFailed.
    """
    identities = await read_identities(connection.bootstrap, connection.topics, connection.security)
    if identities.names.get(wish.name) != wish.account:
        await write_identity(connection.publisher, connection.topics, wish)

    async def settle(patience: float) -> bool:
        until = time.monotonic() + patience
        while True:
            now = await read_identities(connection.bootstrap, connection.topics, connection.security)
            if wish.name in now.names and wish.name not in now.unsettled_names.values():
                return True
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.2)

    return identities, settle
