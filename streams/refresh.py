"""Ask enrichment tools for attributes that are unknown or old, and note for which accounts they were asked, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from resegment.agents.batch import Message, Publisher
from resegment.schemas.contracts.refresh import encode_request, name_request
from resegment.schemas.outgoing import CONTENT_TYPE
from resegment.schemas.times import format_instant
from resegment.segmentation.outlook.staleness import StaleAccount
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import refresh_key
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topics import Topics

if TYPE_CHECKING:
    from redis.asyncio import Redis

DAY: Final = 86_400_000
TOGETHER: Final = 200
"""Requests that are published before they are noted: after a crash in between they are sent again, with the same ids."""
SOURCE: Final = "/resegment/refresh"


class RefreshAsker:
    """Writes requests. An account is not asked for again before `every` (ms) is over."""

    def __init__(
        self, client: Redis, reader: PrefixReader, topics: Topics, publisher: Publisher, every: int
    ) -> None:
        self._client, self._reader, self._publisher = client, reader, publisher
        self._prefix, self._topic = reader.prefix, topics.refresh_requests.name
        self._every = every

    async def read_asked(self, partition: int) -> Mapping[str, int]:
        """Return when (ms) each account of a partition was asked for last. Raises StoreUnavailable."""
        with answering("read what was asked for"):
            answer: Any = self._client.hgetall(refresh_key(self._prefix, partition))
            return {name.decode(): int(at) for name, at in (await answer).items()}

    def is_recent(self, asked: int | None, now: int) -> bool:
        """Return whether an account that was asked for at an instant may not be asked for yet."""
        return asked is not None and asked + self._every > now

    async def ask(self, wanted: Sequence[StaleAccount], now: int, limit: int | None = None) -> int:
        """Ask for the first accounts that may be asked for; return for how many. Raises StoreUnavailable, PublishFailed."""
        asked: dict[int, Mapping[str, int]] = {}
        chosen: list[tuple[int, StaleAccount, int]] = []
        for one in wanted:
            if limit is not None and len(chosen) >= limit:
                break
            number = self._reader.partition_of(one.account)
            if number not in asked:
                asked[number] = await self.read_asked(number)
            before = asked[number].get(one.account)
            if not self.is_recent(before, now):
                chosen.append((number, one, before or 0))
        for start in range(0, len(chosen), TOGETHER):
            some = chosen[start : start + TOGETHER]
            await self._publisher.publish([self._message(one, now, before) for _, one, before in some])
            await self._note(some, now)
        return len(chosen)

    def _message(self, one: StaleAccount, now: int, before: int) -> Message:
        data = {
            "account": one.account,
            "segment": one.segment,
            "attributes": [{"name": part.name, "known_at": part.known_at} for part in one.attributes],
            "could_win": one.could_win,
            "could_fall_to": one.could_fall_to,
            "again_at": format_instant(now + self._every),
        }
        value = encode_request(name_request(self._prefix, one.account, before), SOURCE, now, data)
        return Message(self._topic, one.account.encode(), value, [("content-type", CONTENT_TYPE)])

    async def _note(self, some: Sequence[tuple[int, StaleAccount, int]], now: int) -> None:
        pipe = self._client.pipeline(transaction=False)
        for number, one, _ in some:
            pipe.hset(refresh_key(self._prefix, number), one.account, now)
        with answering("note what was asked for"):
            await pipe.execute()


def count_today(asked: Mapping[str, int], now: int) -> int:
    """Return how many accounts were asked for on the day (UTC) of an instant."""
    return sum(at // DAY == now // DAY for at in asked.values())
