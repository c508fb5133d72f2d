"""Do what a forget asks beside its steps in `signals`: destroy keys, and delete what Redis keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from resegment.errors import TransientError
from resegment.identity.merges import Identities, Operation
from resegment.schemas.privacy.names import KeyNames
from resegment.state.keys.keyring import TTL, Keyring
from resegment.streams.forgetting.pending import PendingForget, read_pending
from resegment.streams.forgetting.places import AccountPlaces
from resegment.streams.sealing.keys import ProcessKeys

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

SETTLING: Final = TTL + 1.0
"""Seconds after which no process has a destroyed key in memory."""

LEAVING: Final = 30.0
"""Seconds that sinks have to take the persons of a forgotten account out of sequences: their call log says who is in."""
PAUSE: Final = 0.5
"""Seconds between two looks."""


class KeysNeeded(TransientError):
    """A person is to be forgotten, and this worker has no keys."""

    def __init__(self) -> None:
        super().__init__(
            "a person is to be forgotten, and this worker has no key store",
            remedy="Set RESEGMENT_KEYS and RESEGMENT_KEY for every worker.",
        )


class Forgetting:
    """What a worker does of an operation. Every step may be repeated. Raises StoreUnavailable."""

    def __init__(
        self,
        client: Redis,
        prefix: str,
        partitions: int,
        keys: ProcessKeys | None,
        *,
        settling: float = SETTLING,
    ) -> None:
        """`settling` is how many seconds processes may use a key that is destroyed."""
        self._places = AccountPlaces(client, prefix, partitions)
        self._keys, self._settling = keys, settling
        self._seen: frozenset[str] = frozenset()

    async def shred(self, operation: Operation) -> None:
        """Destroy the keys of what is forgotten. Raises KeysNeeded."""
        ring = await self._ring(operation)
        if ring is not None:
            await destroy_keys(ring, operation)
            if operation.persons:  # until then their facts may still be opened somewhere
                await asyncio.sleep(self._settling)

    async def allow(self, operation: Operation) -> None:
        """Let new keys be made for what was forgotten. Raises KeysNeeded."""
        ring = await self._ring(operation)
        if ring is not None:
            await ring.store.lift(operation.persons or [ring.names.account(one) for one in operation.path])
            ring.drop()

    async def clear(self, operation: Operation) -> None:
        """Delete what is kept of an account or person beside the states, then what is pending of the operation."""
        ring = await self._ring(operation)
        pending: PendingForget | None = None
        if ring is not None and operation.pending:
            pending = (await read_pending(ring)).get(operation.pending)
        for account in operation.path:
            if not operation.persons:
                await self._await_stop(account)
                await self._places.clear(account)
            elif pending is not None:
                await self._places.clear_person(account, pending)
        if (
            ring is not None and operation.persons
        ):  # what was sealed since the first time may still speak of them
            await ring.store.destroy([ring.names.messages(one) for one in operation.path])
            ring.drop()
        if ring is not None and operation.pending:
            await ring.store.remove_pending(operation.pending)

    async def _await_stop(self, account: str) -> None:
        try:
            async with asyncio.timeout(LEAVING):
                while await self._places.is_enrolled(account):  # noqa: ASYNC110  # another process does it
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            log.warning(
                "a sink did not take a forgotten account out of its sequences in time", account=account
            )

    async def find_orphans(self, identities: Identities) -> Sequence[PendingForget]:
        """Return the forgets that are pending and not recorded: their command died in between. Raises StoreUnavailable.

        One counts from the second look on: its command may be about to record it.
        """
        ring = None if self._keys is None else await self._keys.ring()
        held = {} if ring is None else await read_pending(ring)
        found = {name: one for name, one in held.items() if name not in identities.pending}
        again = [one for name, one in found.items() if name in self._seen]
        self._seen = frozenset(found)
        return again

    async def _ring(self, operation: Operation) -> Keyring | None:
        ring = None if self._keys is None else await self._keys.ring()
        if ring is None and operation.persons:
            raise KeysNeeded
        return ring


async def destroy_keys(ring: Keyring, operation: Operation) -> None:
    """Destroy the keys of a forget, and allow no new ones. Raises KeyStoreUnavailable."""
    names: KeyNames = ring.names
    for account in operation.path:
        fresh = [names.messages(account)]
        if operation.texts or not operation.persons:
            fresh.append(names.texts(account))
        if not operation.persons:
            await ring.store.destroy([names.account(account)], forget=True)
        await ring.store.destroy(fresh)
    if operation.persons:
        await ring.store.destroy(operation.persons, forget=True)
    ring.drop()
