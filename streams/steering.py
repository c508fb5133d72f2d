"""What people change about routing while workers run: its mode, and the lists of accounts never enrolled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, get_args

import structlog

from resegment.agents.batch import Message, Publisher
from resegment.errors import ResegmentError
from resegment.routing.policy import Lists, Policy
from resegment.schemas.routing import Mode, Review, RoutingEvent, encode_routing_event
from resegment.state.port import StoreUnavailable
from resegment.streams.prefix import read_prefix, set_routing
from resegment.streams.publisher import PublishFailed

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 2.0
"""Seconds between two looks at the mode and the lists."""
ROUTING: Final = "routing"
"""The field of the prefix that holds the mode."""
FIRST_MODE: Final[Mode] = "none"
"""The mode of a prefix that nobody has chosen one for: a first load enrols nobody."""

MODES: Final = get_args(Mode)


class Steering:
    """Keeps a policy as people want it. `load` reads the lists; whom one comes to name, or no more, is reviewed."""

    def __init__(
        self,
        policy: Policy,
        client: Redis,
        prefix: str,
        publisher: Publisher,
        topic: str,
        load: Callable[[], Lists],
        now: Callable[[], int],
    ) -> None:
        self._policy, self._client, self._prefix = policy, client, prefix
        self._publisher, self._topic, self._load, self._now = publisher, topic, load, now

    async def begin(self, mode: Mode | None) -> None:
        """Set what is asked for, take what is there. Raises StoreUnavailable, and what `load` raises."""
        if mode is not None:
            await set_routing(self._client, self._prefix, mode)
        self._policy.lists = await asyncio.to_thread(self._load)
        await self._look()

    async def run(self) -> None:
        """Look at both, again and again. Whoever is listed is reviewed at first: the list may have changed meanwhile."""
        unsent = {account for listed in self._policy.lists.values() for account in listed}
        while True:
            with suppress(StoreUnavailable, PublishFailed):
                await self._look()
                unsent |= await self._reload()
                if unsent:
                    reviews = [Review(account=account, at=self._now()) for account in sorted(unsent)]
                    await self._publisher.publish([tell(self._topic, one) for one in reviews])
                    unsent.clear()
            await asyncio.sleep(LOOKED_AT)

    async def _look(self) -> None:
        self._policy.mode = mode_of((await read_prefix(self._client, self._prefix)).get(ROUTING))

    async def _reload(self) -> set[str]:
        """Read the lists again; the accounts that are in one now and were not, or were and are not."""
        try:
            lists = await asyncio.to_thread(self._load)
        except ResegmentError as error:  # half written, or gone: the list that is known goes on
            log.warning("a list cannot be read, the last one stays", reason=error.message)
            return set()
        before, self._policy.lists = self._policy.lists, lists
        moved: set[str] = set()
        for name, accounts in lists.items():
            moved |= set(accounts) ^ set(before.get(name, ()))
        return moved


def mode_of(text: str | None) -> Mode:
    """The mode as the prefix holds it."""
    return next((one for one in MODES if one == text), FIRST_MODE)


def tell(topic: str, event: RoutingEvent) -> Message:
    """The message of an event for the router."""
    return Message(topic, event.account.encode(), encode_routing_event(event))
