"""Whatever versions do to accounts, and whatever fails meanwhile: one workflow at most, and owners that know."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.schemas.routing import GatesChanged, Switch
from tests.unit.agents.test_router import ACCOUNTS, WAYS, Play, step

Step = tuple[str, str, Any, Any]

names, places = st.sampled_from(ACCOUNTS), st.sampled_from(range(len(WAYS)))
routes = st.sampled_from(["none", "new-only", "all"])
switching = st.one_of(
    st.tuples(st.just("define"), names, st.tuples(places, routes), st.booleans()),
    st.tuples(st.just("rename"), names, st.tuples(places, routes), st.none()),
    st.tuples(st.just("judge"), names, st.tuples(st.booleans(), routes), st.none()),
    st.tuples(st.just("back"), names, st.tuples(st.integers(1, 3), routes), st.booleans()),
)


class Switching(Play):
    """Also plays what versions do. Each step of them is a version of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.places: dict[str, list[int | None]] = {name: [] for name in ACCOUNTS}

    async def take(self, step: Step) -> None:
        kind, name, what, more = step
        if kind not in ("define", "rename", "judge", "back"):
            if kind == "move":
                self.places[name] = []
            await super().take(step)
            return
        account, routing = self.accounts[name], self.routing
        if not account.number:
            return
        assert routing.now is not None
        number, route = what
        void: dict[str, Any] = {}
        if kind == "define" and more and self.places[name]:
            void = {"supersedes": f"{name}-{account.number}"}
        else:
            routing.now += 1
            self.version += 1
        at = account.at if void else routing.now
        back = self.version - number if kind == "back" else None
        if kind == "judge" or (kind == "back" and more):
            switch = Switch(self.version, route, back)
            held = ("suppress:customers",) if number is True else ()
            told = GatesChanged(
                account=name, at=at, active_gates=held, sequence=account.number, switch=switch
            )
            self.apply(await self.tell(told))
            return
        place = number
        if kind == "back":
            known = self.places[name]
            place = known[-min(number, len(known))] if known else 0
        self.places[name].append(int((account.segment or "s0")[1:]))
        by = {"cause": {"definition": self.version}, "apply_route": route, "rollback_of": back}
        by["moved"] = kind == "rename"
        change = account.moves(f"s{place}", WAYS[place], at=at, **by, **void)
        self.apply(await self.follow(change))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(step, switching), max_size=30))
async def test_whatever_versions_do_an_account_is_in_one_workflow_at_most_and_its_owner_knows(
    taken: list[Step],
) -> None:
    play = Switching()
    await play.routing.take()
    for one in taken:
        await play.take(one)
        await play.check()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.one_of(step, switching), max_size=30),
    st.sets(st.integers(0, 30)),
)
async def test_a_worker_that_forgets_all_it_had_in_memory_does_the_same(
    taken: list[Step], lost_before: set[int]
) -> None:
    steady, forgetful = Switching(), Switching()
    await steady.routing.take()
    await forgetful.routing.take()
    for number, one in enumerate(taken):
        if number in lost_before:
            await forgetful.routing.take()
        await steady.take(one)
        await forgetful.take(one)
    assert forgetful.keys == steady.keys
    assert forgetful.routing.memory.accounts == steady.routing.memory.accounts
