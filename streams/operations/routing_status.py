"""How routing stands at one look: its mode, the router's partitions, and the teams for which accounts wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from resegment.errors import ResegmentError
from resegment.routing.commands import tell_reason
from resegment.routing.decisions import place_again
from resegment.routing.policy import FIRST_MODE, mode_of
from resegment.routing.staffing.lines import Turn, find_turn
from resegment.routing.staffing.past import PastDecision
from resegment.routing.staffing.working_time import day_of
from resegment.schemas.routing import Mode, RoutedState
from resegment.schemas.segments import Team
from resegment.schemas.times import format_instant
from resegment.state.redis.owners import OwnerStore
from resegment.state.redis.reader import PartitionLook, PrefixReader, add_sizes
from resegment.streams.definitions.history import Definitions
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.prefix import ROUTING
from resegment.streams.sealing.opener import PLAIN, RecordOpener

if TYPE_CHECKING:
    from redis.asyncio import Redis

ASKED_EACH: Final = 100
"""Up to how many accounts are each asked for their place in a line; for more, the line is read as a whole."""


async def read_sent(
    account: str,
    number: int,
    bootstrap: str,
    topic: str,
    *,
    security: Mapping[str, Any],
    opener: RecordOpener = PLAIN,
) -> list[PastDecision]:
    """Return the commands on an account that its partition of the topic still has.

    Raises TopicUnreadable, and as `opener` does.
    """
    found: dict[str, PastDecision] = {}
    key = account.encode()
    async with reading(bootstrap, topic, [number], security=security) as reader:
        async for records in reader.to_end():
            for record in await opener.open([one for one in records if one.key == key]):
                try:
                    one = orjson.loads(record.value or b"")["data"]
                    why = one.get("why")
                    told = tell_reason(None if why is None else orjson.dumps(why))
                    found.setdefault(
                        one["idempotency_key"],
                        PastDecision(
                            record.timestamp,
                            "enrolled" if one["action"] == "enroll" else one["action"],
                            one["segment"],
                            one["workflow"],
                            one.get("owner"),
                            "; ".join(
                                filter(
                                    None,
                                    (one.get("reason"), told, "(forgotten)" if one.get("forgotten") else ""),
                                )
                            ),
                        ),
                    )
                except (ValueError, KeyError, TypeError, AttributeError):  # no command
                    continue
    return list(found.values())


@dataclass(frozen=True, slots=True)
class TeamLook:
    """A team at one moment: how many accounts wait for it, and how many it was granted on that day, in its time zone."""

    waiting: int
    granted_today: int


@dataclass(frozen=True, slots=True)
class RoutingLook:
    """Routing at one moment. `teams` are those with an account that waits, or was granted today, by name."""

    mode: Mode = FIRST_MODE
    partitions: Sequence[PartitionLook] = ()
    teams: Mapping[str, TeamLook] = field(default_factory=dict)

    @property
    def decisions(self) -> dict[str, int]:
        """Accounts by decision, the most frequent first."""
        return {name: size for name, size in add_sizes(self.partitions).items() if size}


async def find_turns(
    client: Redis, prefix: str, states: Iterable[RoutedState], teams: Mapping[str, Team], now: int
) -> dict[str, Turn]:
    """Return when it is the turn of each account that waits in a line, by its key; and say so in the reason of its state.

    `teams` are those of the version in force, `now` (ms) is the prefix's own time. Raises StoreUnavailable.
    """
    store, found = OwnerStore(client, prefix), dict[str, Turn]()
    lines: dict[str, list[RoutedState]] = {}
    for state in states:
        route = None if state.target is None else state.target.route
        if state.decision == "waiting" and route is not None and route.team is not None:
            lines.setdefault(route.team, []).append(state)
    for name, waiting in lines.items():
        team = teams.get(name, Team())
        keys = [one.assignment for one in waiting if one.assignment is not None]
        some = keys if len(keys) <= ASKED_EACH else None  # of many, it is cheaper to read the line once
        line = await store.look_at_line(name, day_of(now, team.timezone), some)
        for state in waiting:
            turn = find_turn(name, team, line, state.assignment, now)
            if turn is not None:
                found[state.assignment or ""] = turn
                state.why = turn.tell()
            elif (place := line.places.get(state.assignment or "")) is not None:
                state.why = place_again(state.why, place, line.length)
    return found


def find_teams(definitions: Definitions | None) -> Mapping[str, Team]:
    """Return the teams of the version in force; none if it is not known or cannot be read."""
    if definitions is None or not definitions.versions:
        return {}
    try:
        return definitions.definition_of(definitions.current).teams
    except ResegmentError:
        return {}


async def look_at_routing(
    client: Redis,
    reader: PrefixReader,
    held: Mapping[str, str],
    now: int | None,
    teams: Mapping[str, Team],
) -> RoutingLook:
    """Look at it; `held` is the record of the prefix, `now` (ms) the wall clock, None where time is that of the facts.

    `teams` are those of the version in force: each has its own day, that of UTC where it is not among them.

    Raises StoreUnavailable.
    """
    partitions = await reader.look_at_routing(now)
    clocks = [one.position.clock for one in partitions if one.position is not None]
    at = max(clocks, default=0) if now is None else now
    owners = await OwnerStore(client, reader.prefix).look()
    looks = {
        name: TeamLook(known.waiting, known.granted.get(day_of(at, teams.get(name, Team()).timezone), 0))
        for name, known in sorted(owners.teams.items())
    }
    return RoutingLook(
        mode_of(held.get(ROUTING)),
        partitions,
        {name: team for name, team in looks.items() if team.waiting or team.granted_today},
    )


def describe_routing_look(look: RoutingLook) -> dict[str, Any]:
    """Return the look as plain JSON data, instants in RFC 3339."""
    return {
        "mode": look.mode,
        "accounts": look.decisions,
        "teams": [
            {"team": name, "waiting": team.waiting, "granted_today": team.granted_today}
            for name, team in look.teams.items()
        ],
        "partitions": [
            {
                "partition": one.number,
                "clock": None if one.position is None else format_instant(one.position.clock),
                "outbox": one.outbox,
                "deadlines": one.deadlines,
                "due": one.due,
                "next_deadline": None if one.next_deadline is None else format_instant(one.next_deadline),
            }
            for one in look.partitions
        ],
    }
