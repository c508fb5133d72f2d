"""Find the contacts of accounts among what `people` events said, which a process keeps in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resegment.sinks.operation import Contact
from resegment.state.sinks.people import PeopleStore

if TYPE_CHECKING:
    from redis.asyncio import Redis


class PeopleContacts:
    """The persons that `people` events named."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._store = PeopleStore(redis, prefix)

    async def find(self, account: str) -> Sequence[Contact]:
        """Return the persons of an account, the newest first. Raises StoreUnavailable."""
        found = await self._store.read(account)
        return [
            Contact(
                email=one.email,
                first_name=one.first_name,
                last_name=one.last_name,
                title=one.title,
                role=one.role,
                phone=one.phone,
                linkedin=one.linkedin,
                opted_out=one.opted_out is True,
            )
            for one in sorted(found, key=lambda one: -one.at)
        ]
