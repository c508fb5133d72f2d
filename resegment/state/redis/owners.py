"""The owner store in Redis: all of a prefix is in one slot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.assignment import Assign, Assigned, OwnerReply, OwnerRequest, Release, Waiting
from resegment.state.owner_store import DAYS_KEPT, MemberLoad, OwnerLoads, TeamLoad
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import OwnersKeys
from resegment.state.redis.scripts import load_script
from resegment.state.weighted_round_robin import FORGOTTEN

if TYPE_CHECKING:
    from redis.asyncio import Redis

BATCH: Final = 500
"""Requests that one run of the script settles. The server does nothing else meanwhile."""

RELEASED_KEPT: Final = 30 * 86_400
"""Seconds for which a released key keeps its answer."""


class OwnerStore:
    """See `resegment.state.owner_store.OwnerStore`. The client must not decode responses."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self.keys = OwnersKeys.of(prefix)
        self._client = client

    async def settle(self, asks: Sequence[OwnerRequest]) -> list[OwnerReply]:
        answers: list[OwnerReply] = []
        for start in range(0, len(asks), BATCH):
            some = asks[start : start + BATCH]
            keys = self.keys
            arguments = (
                *(keys.held, keys.open, keys.drawn, keys.gone, keys.turns, keys.granted),
                *(keys.waiting(""), keys.released("")),
                *(RELEASED_KEPT, DAYS_KEPT, FORGOTTEN, _encode(some)),
            )
            with answering("settle owners"):
                answer = await load_script("owners").run(self._client, 6, *arguments)
            answers += map(_read_answer, msgspec.msgpack.decode(answer))
        return answers

    async def look(self) -> OwnerLoads:
        keys = self.keys
        pipe = self._client.pipeline(transaction=False)
        for key in (keys.open, keys.drawn, keys.granted, keys.turns):
            pipe.hgetall(key)
        pipe.smembers(keys.gone)
        with answering("read owners"):
            open_, drawn, granted, turns, gone = await pipe.execute()
        teams = {name.decode(): dict[str, int]() for name in turns}
        for field, count in granted.items():
            day, _, team = field.decode().partition(" ")
            teams.setdefault(team, {})[day] = int(count)
        pipe = self._client.pipeline(transaction=False)
        for team in teams:
            pipe.zcard(keys.waiting(team))
        with answering("count the accounts that wait"):
            waiting = await pipe.execute()
        return OwnerLoads(
            {
                name.decode(): MemberLoad(int(open_.get(name, 0)), int(drawn.get(name, 0)), name in gone)
                for name in {*(name for name, count in open_.items() if int(count)), *drawn, *gone}
            },
            {team: TeamLoad(days, waits) for (team, days), waits in zip(teams.items(), waiting, strict=True)},
        )

    async def leave(self, member: str) -> None:
        with answering("mark a member as gone"):
            answer: Any = self._client.sadd(self.keys.gone, member)
            await answer

    async def come_back(self, member: str) -> None:
        with answering("mark a member as back"):
            answer: Any = self._client.srem(self.keys.gone, member)
            await answer

    async def recount(self, open_: Mapping[str, tuple[str, str]], waiting: Collection[str]) -> None:
        keys = self.keys
        flat = [part for key, owned in open_.items() for part in (key, *owned)]
        wanted = msgspec.msgpack.encode((flat, list(waiting)))
        with answering("recount owners"):
            await load_script("recount").run(
                self._client, 3, keys.held, keys.open, keys.turns, keys.waiting(""), wanted
            )


def _encode(asks: Sequence[OwnerRequest]) -> bytes:
    """Encode the groups of candidates, each once, and the requests that refer to them."""
    groups: dict[Any, int] = {}
    rows: list[Any] = []
    for ask in asks:
        if isinstance(ask, Release):
            rows.append((ask.key,))
        else:
            rows.append(_encode_assign(ask, groups.setdefault(ask.candidates, len(groups) + 1)))
    listed = [[(one.name, one.weight, one.capacity or False) for one in group] for group in groups]
    return msgspec.msgpack.encode((listed, rows))


def _encode_assign(ask: Assign, group: int) -> tuple[Any, ...]:
    throttle: Any = False
    if ask.throttle is not None:
        # as text, since the script would round it
        throttle = (ask.throttle.per_day, ask.throttle.day, repr(float(ask.throttle.rank)))
    least_loaded = ask.strategy == "least-loaded"
    return (ask.key, ask.team, least_loaded, group, ask.preferred, ask.fallback, throttle)


def _read_answer(row: Any) -> OwnerReply:
    if not row:
        return None
    return Waiting(*row) if len(row) == 1 else Assigned(*row)
