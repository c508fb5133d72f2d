"""The router against a naive reading of docs/routing.md: random histories with switches, renames and rollbacks."""

from __future__ import annotations

import random

import pytest

from resegment.schemas.routing import GatesChanged, Switch
from tests.unit.agents.test_router import NOON, Account, Json, file, to
from tests.unit.routing.test_switching import GATED, Rig

from .naive.routing import ONLY_ONCE, Event, NaiveRouter, Route

WORKFLOWS = {"a": "w1", "b": "w2", "c": "w1", "d": ONLY_ONCE, "e": None, "f": "w3"}
FILE = file(teams={"sales": {"members": ["ann", "bob", "cat"]}}, suppression=["customers"])
ROUTES: list[Route] = ["none", "none", "new-only", "all"]


class History:
    """Draws the events of one account, as a segmenter could make them."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.naive = NaiveRouter(WORKFLOWS)
        self.version = 1

    def next(self) -> Event:
        draw, now = self.draw, self.naive.states[-1]
        if now.segment is None or draw.random() < 0.2:
            return Event("move", self.elsewhere(), suppressed=self.gates())
        if draw.random() < 0.1:
            return Event("gates", suppressed=not now.suppressed)
        last = self.naive.events[-1]
        if last.kind == "move" and last.version is not None and last.rollback_of is None:
            if draw.random() < 0.3 and not last.void:  # facts of the instant come later
                return Event("move", self.elsewhere(), self.gates(), last.version, last.route, void=True)
        self.version += 1
        if self.version > 2 and draw.random() < 0.5:
            found = self.rollback(draw.randint(max(2, self.version - 3), self.version - 1))
            if found is not None:
                return found
        route = draw.choice(ROUTES)
        match draw.choice(["move", "move", "rename", "gates"]):
            case "gates":
                return Event("gates", "", not now.suppressed, self.version, route)
            case "rename":
                return Event("rename", self.elsewhere(), self.gates(), self.version, route)
        return Event("move", self.elsewhere(), self.gates(), self.version, route)

    def elsewhere(self) -> str:
        return self.draw.choice([one for one in WORKFLOWS if one != self.naive.states[-1].segment])

    def gates(self) -> bool:
        return self.naive.states[-1].suppressed != (self.draw.random() < 0.15)

    def rollback(self, of: int) -> Event | None:
        """Draw what a rollback does to the account; None if it does nothing."""
        events, states = self.naive.events, self.naive.states
        own = [number for number, one in enumerate(events) if one.version is None and one.kind == "move"]
        since = [
            number
            for number, one in enumerate(events)
            if number > own[-1] and one.version is not None and one.version >= of
        ]
        route = self.draw.choice(ROUTES)
        if not since or self.draw.random() < 0.1:
            return Event("move", self.elsewhere(), self.gates(), self.version, route, of)
        past, kinds = states[since[0]], {events[number].kind for number in since}
        if kinds == {"gates"}:
            if past.suppressed == states[-1].suppressed:
                return None
            return Event("gates", "", past.suppressed, self.version, route, of)
        if past.segment is None or past.segment == states[-1].segment:
            return None
        kind = "rename" if kinds == {"rename"} else "move"
        return Event(kind, past.segment, self.gates(), self.version, route, of)  # type: ignore[arg-type]


async def compare(seed: int) -> None:
    history, account = History(seed), Account()
    routing = Rig(*[FILE] * 2)
    await routing.take()
    at, keys, running, known = NOON, set[str](), set[str](), list[Event]()
    for _ in range(12):
        event = history.next()
        known.append(event)
        expected = history.naive.take(event)
        at += 0 if event.void else 60_000
        made = await play(routing, account, event, at)
        state, naive = routing.state("acme.com"), history.naive.states[-1]
        got = [("enroll" if one["action"] == "enroll" else "leave", one["workflow"]) for one in made]
        workflow = None if state.enrollment is None else state.enrollment.workflow
        assert (got, state.decision, workflow, set(state.left) - {workflow}) == (
            list(expected),
            naive.decision,
            None if naive.running is None else naive.running[0],
            naive.left - {workflow},
        ), (seed, known, got, state.decision, workflow, set(state.left))
        for one in made:
            assert one["idempotency_key"] not in keys
            keys.add(one["idempotency_key"])
            if one["action"] == "enroll":
                running.add(one["workflow"])
            else:
                running.remove(one["workflow"])
        assert running == ({workflow} if workflow else set())
        assert sum(one.open for one in (await routing.owners.look()).members.values()) == len(running)


async def play(routing: Rig, account: Account, event: Event, at: int) -> list[Json]:
    held = GATED if event.suppressed else ()
    if event.kind == "gates":
        switch = None if event.version is None else Switch(event.version, event.route, event.rollback_of)
        told = GatesChanged(
            account=account.name, at=at, active_gates=held, sequence=account.number, switch=switch
        )
        return await routing.tell(told)
    given: Json = {"standing": held}
    if event.version is not None:
        given |= {"cause": {"definition": event.version}, "apply_route": event.route}
        given |= {"moved": event.kind == "rename", "rollback_of": event.rollback_of}
    if event.void:
        given["supersedes"] = f"{account.name}-{account.number}"
    workflow = WORKFLOWS[event.segment]
    way = to(workflow, reentry="never" if workflow == ONLY_ONCE else "always")
    return await routing.follow(account.moves(event.segment, way, at=at, **given))


@pytest.mark.parametrize("first", range(0, 600, 100))
async def test_the_router_agrees_with_a_naive_reading_of_random_histories(first: int) -> None:
    for seed in range(first, first + 100):
        await compare(seed)
