"""Changes and events of the router are in two topics: whatever order they arrive in, a switch leads to the same."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.schemas.routing import DefinitionSwitched, GatesChanged, RoutingEvent, Switch
from tests.unit.agents.test_router import HOUR, NOON, SUPPRESSED, TEAM, Account, Json, file, to
from tests.unit.routing.test_switching import GATED, Rig

T = NOON + HOUR
BACK = T + HOUR
FILES = [file(teams=TEAM, **SUPPRESSED), file(teams=TEAM, **SUPPRESSED, retain="900d")]
GATES: dict[str, tuple[str, ...]] = {"suppress": GATED, "release": ()}
WORKFLOWS = {"s0": "w0", "s1": "w1", "s2": "w0", "s3": None}


class Fate(NamedTuple):
    """What happens to one account: its first segment, what version 2 does to it, and whether it moves again."""

    first: str
    at_switch: str
    """`move`, `void` (a move that facts of the instant correct), `rename`, `suppress`, `release` or `nothing`."""
    second: str
    third: str
    route: str
    moves_since: bool


fates = st.builds(
    Fate,
    st.sampled_from(sorted(WORKFLOWS)),
    st.sampled_from(["move", "void", "rename", "suppress", "release", "nothing"]),
    st.sampled_from(sorted(WORKFLOWS)),
    st.sampled_from(sorted(WORKFLOWS)),
    st.sampled_from(["none", "new-only", "all"]),
    st.booleans(),
)


class Logs:
    """The two topics as a segmenter fills them: a version, and its rollback.

    Each phase is what comes about at one time: the first segments, the switch, and the rollback.
    """

    def __init__(self, fate: Fate, rig: Rig) -> None:
        self.phases: list[tuple[list[bytes], list[RoutingEvent]]] = []
        self._rig = rig
        account = Account("a.com")
        self.begin()
        standing = GATED if fate.at_switch == "release" else ()
        self.move(account, fate.first, NOON, 1, standing=standing)
        self.begin()
        self.tell(2)
        self.switch(account, fate)
        if fate.moves_since and fate.at_switch not in GATES:
            self.move(account, fate.third, T + 1, 2)
        self.begin()
        self.tell(3, rollback_of=2)
        self.roll_back(account, fate)

    def begin(self) -> None:
        self.changes: list[bytes] = []
        self.events: list[RoutingEvent] = []
        self.phases.append((self.changes, self.events))

    def tell(self, number: int, **given: Any) -> None:
        fingerprint = self._rig.versions.fingerprint(number)
        self.events.append(
            DefinitionSwitched(at=T, version=number, fingerprint=fingerprint, route="none", **given)
        )

    def move(self, account: Account, segment: str, at: int, version: int, **given: Any) -> None:
        if segment == account.segment and not given.get("supersedes"):
            return
        workflow = WORKFLOWS.get(segment, "w1")
        given.setdefault("standing", ())
        given["definition_version"] = self._rig.versions.fingerprint(version)
        self.changes.append(account.moves(segment, to(workflow), at=at, **given))

    def switch(self, account: Account, fate: Fate) -> None:
        by: dict[str, Any] = {"cause": {"definition": 2}, "apply_route": fate.route}
        match fate.at_switch:
            case "suppress" | "release":
                switch = Switch(2, fate.route)  # type: ignore[arg-type]
                self.gates(account, GATES[fate.at_switch], T, switch)
            case "rename":
                self.move(account, "new name", T, 2, moved=True, **by)
            case "move" | "void":
                before = account.number
                self.move(account, fate.second, T, 2, **by)
                if fate.at_switch == "void" and account.number > before:
                    void = {"supersedes": f"{account.name}-{account.number}", "supersedes_to": fate.second}
                    if fate.third != fate.second:
                        self.move(account, fate.third, T, 2, **by, **void)

    def roll_back(self, account: Account, fate: Fate) -> None:
        by: dict[str, Any] = {"cause": {"definition": 3}, "apply_route": "none", "rollback_of": 2}
        if fate.at_switch in GATES:
            held = () if GATES[fate.at_switch] else GATED
            self.gates(account, held, BACK, Switch(3, "none", 2))
        elif fate.at_switch == "rename" and account.segment == "new name":
            self.move(account, fate.first, BACK, 3, moved=True, **by)
        else:
            self.move(account, fate.first, BACK, 3, **by)

    def gates(self, account: Account, held: tuple[str, ...], at: int, switch: Switch) -> None:
        told = GatesChanged(
            account=account.name, at=at, active_gates=held, sequence=account.number, switch=switch
        )
        self.events.append(told)


Order = tuple[list[bool], list[int]]
"""Of which topic each next batch is, and how many records it has."""

orders = st.tuples(st.lists(st.booleans(), max_size=10), st.lists(st.integers(1, 3), max_size=10))


async def deliver(
    rig: Rig, changes: list[bytes], events: list[RoutingEvent], order: Order, *, twice: bool
) -> list[Json]:
    """Deliver what both topics have, batch by batch; the rest comes one by one."""
    if twice:
        changes = [one for one in changes for _ in (0, 1)]
        events = [one for one in events for _ in (0, 1)]
    made: list[Json] = []
    sizes = iter(order[1])
    for is_change in (*order[0], *[False] * len(events), *[True] * len(changes)):
        size = next(sizes, 1)
        if is_change and changes:
            made += await rig.follow(*changes[:size])
            changes = changes[size:]
        elif events and not is_change:
            made += await rig.tell(*events[:size])
            events = events[size:]
    return made


def essence(rig: Rig) -> Any:
    """What counts for the account's future."""
    state = rig.state("a.com")
    enrollment = state.enrollment and (
        state.enrollment.workflow,
        state.enrollment.segment,
        state.enrollment.owner,
    )
    target = state.target and (state.target.segment, state.target.kept_out)
    return state.decision, state.why, target, enrollment, state.active_gates, rig.owned.position.definition


def said(made: list[Json]) -> list[tuple[str, ...]]:
    return [(one["action"], one["workflow"], one["segment"], one["idempotency_key"]) for one in made]


@settings(deadline=None, max_examples=150)
@given(fates, st.lists(orders, min_size=3, max_size=3), st.booleans())
async def test_in_whatever_order_changes_and_events_of_a_switch_come_the_commands_are_the_same(
    fate: Fate, drawn: list[Order], twice: bool
) -> None:
    ends = []
    for each, again in (([([], [])] * 3, False), (drawn, twice)):
        rig = Rig(*FILES, FILES[0])
        await rig.take()
        made: list[Json] = []
        for phase, order in zip(Logs(fate, rig).phases, each, strict=True):
            made += await deliver(rig, *phase, order, twice=again)
        state = rig.state("a.com")
        ends.append((said(made), essence(rig), state.left, state.touched, state.displaced))
        opened = sum(one.open for one in (await rig.owners.look()).members.values())
        assert opened == (state.enrollment is not None)
    assert ends[0] == ends[1]


@settings(deadline=None, max_examples=150)
@given(fates, orders, st.booleans())
async def test_however_far_one_topic_is_behind_the_other_the_account_ends_where_it_belongs(
    fate: Fate, drawn: Order, twice: bool
) -> None:
    ends = []
    for order, again in ((([True] * 20, []), False), (drawn, twice)):
        rig = Rig(*FILES, FILES[0])
        await rig.take()
        phases = Logs(fate, rig).phases
        changes = [one for phase, _ in phases for one in phase]
        events = [one for _, phase in phases for one in phase]
        made = await deliver(rig, changes, events, order, twice=again)
        assert len({one["idempotency_key"] for one in made}) == len(made)
        ends.append(essence(rig))
    assert ends[0] == ends[1]
