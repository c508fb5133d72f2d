"""Follow what people change while workers run: the mode of routing, and the lists of accounts never to enroll."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from resegment.agents.batch import Publisher, PublishFailed
from resegment.errors import ResegmentError
from resegment.routing.policy import Lists, RoutingControls, mode_of
from resegment.schemas.routing import Mode, Review
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.message_factory import tell
from resegment.streams.owners_mark import check_owners
from resegment.streams.prefix import (
    ROUTING,
    KeptList,
    StateLost,
    is_known,
    keep_lists,
    read_lists,
    read_prefix,
    set_routing,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from resegment.streams.audit.trail import AuditTrail

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 2.0
"""Seconds between two checks of the mode and the lists."""


class PolicyReloader:
    """Keeps the controls of routing up to date. `load` reads the lists; accounts that were added to or removed from a list are reviewed."""

    def __init__(
        self,
        controls: RoutingControls,
        client: Redis,
        prefix: str,
        publisher: Publisher,
        topic: str,
        load: Callable[[], Lists],
        now: Callable[[], int],
        note_frozen: Callable[[str | None], None],
    ) -> None:
        self._controls, self._client, self._prefix = controls, client, prefix
        self._publisher, self._topic, self._load, self._now = publisher, topic, load, now
        self._note_frozen = note_frozen
        self._moved: set[str] = set()
        self._unkept = True
        self._was_known = False

    async def begin(self, mode: Mode | None, trail: AuditTrail) -> None:
        """Set the mode if one is given, and read mode and lists. A mode that changes is recorded in `trail` first.

        Raises NotRecorded, StoreUnavailable, and what `load` raises.
        """
        if mode is not None:
            await self._set_mode(mode, trail)
        self._controls.lists = await asyncio.to_thread(self._load)
        await self._read_mode()

    async def _set_mode(self, mode: Mode, trail: AuditTrail) -> None:
        before = mode_of((await read_prefix(self._client, self._prefix)).get(ROUTING))
        if before == mode:
            return
        async with trail.recording("worker", {"route": mode}) as recording:
            await set_routing(self._client, self._prefix, mode)
            recording.result["before"] = before

    async def run(self) -> None:
        """Check both until cancelled. What fails is done at the next check."""
        while True:
            with suppress(StoreUnavailable, PublishFailed):
                await self.look()
            await asyncio.sleep(LOOKED_AT)

    async def look(self) -> None:
        """Check once. Before the first check, the lists may have changed while no worker ran.

        Raises StateLost where the record of the prefix is gone, OwnersLost, StoreUnavailable and PublishFailed.
        """
        await check_owners(self._client, self._prefix, await self._read_mode())
        await self._reload()
        if self._unkept:
            await self._review()

    async def _read_mode(self) -> Mapping[str, str]:
        """Take the mode from the record of the prefix, and return the record."""
        held = await read_prefix(self._client, self._prefix)
        if self._was_known and not is_known(held):
            raise StateLost(self._prefix)
        self._was_known = is_known(held)
        self._controls.mode = mode_of(held.get(ROUTING))
        return held

    async def _reload(self) -> None:
        """Read the lists again, and note the accounts that were added or removed."""
        try:
            lists = await asyncio.to_thread(self._load)
        except ResegmentError as error:  # half written, or gone: the known list stays in force
            log.warning("a list cannot be read, the last one stays", reason=error.message)
            self._note_frozen(error.message)
            return
        self._note_frozen(None)
        before, self._controls.lists = self._controls.lists, lists
        for name, accounts in lists.items():
            self._moved |= set(accounts) ^ set(before.get(name, ()))
        self._unkept |= bool(self._moved)

    async def _review(self) -> None:
        """Request reviews of the accounts that moved, and store the new lists.

        Another worker may have stored them already, and the account's own worker may have decided with the old
        lists after that. So each worker requests a review of every account that it saw move, and at its start of
        those that moved in the last stored change.
        """
        kept = await read_lists(self._client, self._prefix)
        changed: dict[str, KeptList] = {}
        moved = set(self._moved)
        for name in {*kept, *self._controls.lists}:
            now, was = frozenset(self._controls.lists.get(name, ())), kept.get(name, KeptList())
            moved |= now ^ was.accounts | now ^ was.before
            if now != was.accounts:
                changed[name] = KeptList(now, was.accounts)
        reviews = [Review(account=account, at=self._now()) for account in sorted(moved)]
        await self._publisher.publish([tell(self._topic, one) for one in reviews])
        await keep_lists(self._client, self._prefix, changed)
        self._moved.clear()
        self._unkept = False
