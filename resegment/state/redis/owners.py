"""The owner store in Redis: all of a prefix is in one slot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.assignment import (
    Assign,
    Assigned,
    Granted,
    Join,
    LineLook,
    Offer,
    OwnerReply,
    OwnerRequest,
    Queued,
    Release,
    Shift,
    Waiting,
)
from resegment.state.owner_store import (
    DAYS_KEPT,
    LONGEST_SETTLING,
    MemberLoad,
    OwnerLoads,
    QueueLoad,
    TeamLoad,
)
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import OwnersKeys
from resegment.state.redis.scripts import load_script
from resegment.state.weighted_round_robin import FORGOTTEN

if TYPE_CHECKING:
    from redis.asyncio import Redis

WAITS: Final = "w"
"""The kind of a key that waits, as the script writes it."""
BATCH: Final = 500
"""Requests that one run of the script settles. The server does nothing else meanwhile."""

RELEASED_KEPT: Final = 30 * 86_400
"""Seconds for which a released key keeps its answer."""


class OwnerStore:
    """See `resegment.state.owner_store.OwnerStore`. The client must not decode responses."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self.keys = OwnersKeys.of(prefix)
        self._client = client

    async def settle(
        self, asks: Sequence[OwnerRequest], times: Sequence[int] | None = None
    ) -> list[OwnerReply]:
        answers: list[OwnerReply] = []
        for start in range(0, len(asks), BATCH):
            part = slice(start, start + BATCH)
            with answering("settle owners"):
                answer = await self._run(None, _encode(asks[part], times and times[part]))
            answers += map(_read_answer, msgspec.msgpack.decode(answer))
        return answers

    async def offer(self, shifts: Sequence[Shift], now: int | None = None) -> list[Offer]:
        listed = [
            (one.team, [(member.name, member.capacity or False) for member in one.members])
            + ((False, "") if one.per_day is None else (one.per_day, one.day))
            for one in shifts
        ]
        with answering("offer queued accounts"):
            answer = await self._run(now, msgspec.msgpack.encode(([], [], False, listed)))
        return [Offer(*row) for row in msgspec.msgpack.decode(answer) or ()]

    async def line(self, team: str) -> list[str]:
        with answering("read a line"):
            names: Any = await self._client.zrange(self.keys.line(team), 0, -1)
        return [name.decode().rpartition("\0")[2] for name in names]

    async def look_at_line(self, team: str, day: str, keys: Sequence[str] | None = None) -> LineLook:
        line = self.keys.line(team)
        names = None if keys is None else await self._names_in_line(team, keys)
        pipe = self._client.pipeline(transaction=False)
        pipe.hget(self.keys.granted, f"{day} {team}")
        pipe.hget(self.keys.windows, team)
        if names is None:
            pipe.zrange(line, 0, -1)
        else:
            pipe.zcard(line)
            for name in names.values():
                pipe.zrank(line, name)
        with answering("read a line"):
            granted, window, found, *ranks = await pipe.execute()
        look = partial(LineLook, granted=int(granted or 0), settles_at=_read_window(window))
        if names is None:
            return look({name.decode().rpartition("\0")[2]: place for place, name in enumerate(found)})
        ranked = zip(names, ranks, strict=True)
        return look({key: int(place) for key, place in ranked if place is not None}, whole=int(found))

    async def _names_in_line(self, team: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the names that keys have in the line of a team; those that are in none are left out."""
        if not keys:
            return {}
        pipe = self._client.pipeline(transaction=False)
        pipe.hmget(self.keys.held, list(keys))
        with answering("read a line"):
            (held,) = await pipe.execute()
        found: dict[str, str] = {}
        for key, packed in zip(keys, held, strict=True):
            if packed is not None:
                kind, its_team, _, _, name, *_ = msgspec.msgpack.decode(packed)
                if kind == WAITS and its_team == team and name:
                    found[key] = name
        return found

    async def _run(self, now: int | None, packed: bytes) -> bytes:
        keys = self.keys
        names = (keys.held, keys.open, keys.drawn, keys.gone, keys.turns, keys.granted)
        more = (keys.windows, keys.queues, keys.ready, keys.offered)
        settings = (keys.tag, RELEASED_KEPT, DAYS_KEPT, FORGOTTEN, LONGEST_SETTLING)
        clock = "" if now is None else now
        run = load_script("owners").run
        answer: bytes = await run(
            self._client, len(names) + len(more), *names, *more, *settings, clock, packed
        )
        return answer

    async def look(self) -> OwnerLoads:
        keys = self.keys
        pipe = self._client.pipeline(transaction=False)
        for key in (keys.open, keys.drawn, keys.granted, keys.turns):
            pipe.hgetall(key)
        pipe.smembers(keys.gone)
        pipe.hgetall(keys.queues)
        with answering("read owners"):
            open_, drawn, granted, turns, gone, queues = await pipe.execute()
        teams = {name.decode(): dict[str, int]() for name in turns}
        for field, count in granted.items():
            day, _, team = field.decode().partition(" ")
            teams.setdefault(team, {})[day] = int(count)
        pipe = self._client.pipeline(transaction=False)
        for team in teams:
            pipe.zcard(keys.line(team))
            pipe.zcard(keys.waiting(team))
        for name in queues:
            pipe.zcard(keys.queue(name.decode()))
        with answering("count the accounts that wait"):
            counts = await pipe.execute()
        waiting = [sum(counts[place : place + 2]) for place in range(0, 2 * len(teams), 2)]
        return OwnerLoads(
            {
                name.decode(): MemberLoad(int(open_.get(name, 0)), int(drawn.get(name, 0)), name in gone)
                for name in {*(name for name, count in open_.items() if int(count)), *drawn, *gone}
            },
            {team: TeamLoad(days, waits) for (team, days), waits in zip(teams.items(), waiting, strict=True)},
            sorted(
                (
                    QueueLoad(*_read_queue(packed), accounts)
                    for packed, accounts in zip(queues.values(), counts[2 * len(teams) :], strict=True)
                    if accounts
                ),
                key=lambda one: (one.team, one.eligible),
            ),
        )

    async def leave(self, member: str) -> None:
        with answering("mark a member as gone"):
            answer: Any = self._client.sadd(self.keys.gone, member)
            await answer

    async def come_back(self, member: str) -> None:
        with answering("mark a member as back"):
            answer: Any = self._client.srem(self.keys.gone, member)
            await answer

    async def recount(
        self,
        open_: Mapping[str, tuple[str, str]],
        waiting: Collection[str],
        queued: Mapping[str, Queued] | None = None,
    ) -> None:
        keys = self.keys
        flat = [part for key, owned in open_.items() for part in (key, *owned)]
        listed = [(key, one.account, one.at, one.eligible) for key, one in (queued or {}).items()]
        wanted = msgspec.msgpack.encode((flat, list(waiting), listed))
        with answering("recount owners"):
            await load_script("recount").run(
                self._client, 4, keys.held, keys.open, keys.turns, keys.queues, keys.tag, wanted
            )


def _encode(asks: Sequence[OwnerRequest], times: Sequence[int] | None) -> bytes:
    """Encode the groups of candidates, each once, the requests that refer to them, and when each is made."""
    groups: dict[Any, int] = {}
    rows: list[Any] = []
    for ask in asks:
        match ask:
            case Release():
                rows.append(("r", ask.key))
            case Join():
                # as text, because the script would round it
                value = repr(float(ask.rank.value))
                rows.append(("j", ask.key, ask.team, ask.per_day, ask.day, value, ask.rank.tie, ask.settle))
            case Assign():
                rows.append(_encode_assign(ask, groups.setdefault(ask.candidates, len(groups) + 1)))
    listed = [[(one.name, one.weight, one.capacity or False) for one in group] for group in groups]
    return msgspec.msgpack.encode((listed, rows, times or False, False))


def _encode_assign(ask: Assign, group: int) -> tuple[Any, ...]:
    least_loaded = ask.strategy == "least-loaded"
    start = ("a", ask.key, ask.team, least_loaded, group, ask.preferred, ask.fallback)
    return (*start, ask.eligible, ask.queued or False, ask.account)


def _read_queue(packed: bytes) -> tuple[str, tuple[str, ...]]:
    team, eligible = msgspec.msgpack.decode(packed)
    return team, tuple(eligible)


def _read_window(packed: bytes | None) -> int | None:
    """Return when (ms) a line has settled, None where no window is open."""
    found = None if packed is None else msgspec.msgpack.decode(packed)
    return None if not found else int(min(found[1] + found[2], found[0] + LONGEST_SETTLING))


def _read_answer(row: Any) -> OwnerReply:
    if not row:
        return None
    kind, *values = row
    match kind:
        case "w":
            return Waiting(*values)
        case "g":
            return Granted(*values)
    return Assigned(*values)
