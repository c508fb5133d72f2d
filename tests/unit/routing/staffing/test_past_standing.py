"""Where an account stood with workflows at a past instant is what the router had of it then."""

from __future__ import annotations

from hypothesis import example, given, settings

from resegment.routing.staffing.past import PastDecision, find_standing, tell_standing
from resegment.schemas.logs.decision_log import MOST, LoggedDecision
from resegment.schemas.routing import RoutedState
from tests.unit.agents.test_router import ACCOUNTS, Play, steps


class Watched(Play):
    """Notes after each step what the router has of each account, by the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, dict[int, RoutedState]] = {name: {} for name in ACCOUNTS}

    def note(self) -> None:
        for name in ACCOUNTS:
            if name in self.routing.memory.accounts:
                self.seen[name][self.routing.now or 0] = self.routing.state(name)


@example([("move", "a.com", 1, False), ("answer", "a.com", "rejected", None)])
@example([("move", "a.com", 1, False), ("stand", "a.com", True, None), ("stand", "a.com", False, None)])
@settings(deadline=None, max_examples=60)
@given(steps)
async def test_the_standing_of_each_instant_is_that_of_the_router_then(
    taken: list[tuple[str, str, object, object]],
) -> None:
    play = Watched()
    await play.routing.take()
    for one in taken:
        await play.take(one)
        play.note()
    for name, seen in play.seen.items():
        if not seen:
            continue
        final = play.routing.state(name)
        for at, then in seen.items():
            found = find_standing(final, [], at)
            if found.begins is not None or (len(final.log) >= MOST and final.log[0].at == at):
                continue
            running = then.enrollment
            assert (found.workflow, found.owner) == (
                (None, None) if running is None else (running.workflow, running.owner)
            ), (at, then, final.log)


def logged(at: int, what: str, why: str = "", owner: str | None = None) -> LoggedDecision:
    return LoggedDecision(at, what, why, "hot", "calls", owner)


def sent(at: int, what: str, owner: str | None = None, why: str = "") -> PastDecision:
    return PastDecision(at, what, "hot", "calls", owner, why)


def test_before_the_log_of_an_account_begins_only_commands_are_known() -> None:
    state = RoutedState(log=tuple(logged(10_000 + number, "cooldown", str(number)) for number in range(MOST)))
    commands = [sent(1_000, "enrolled", "Ann"), sent(5_000, "stop", "Ann", "left hot")]
    before = find_standing(state, commands, 4_000)
    assert (before.workflow, before.owner, before.since, before.begins) == ("calls", "Ann", 1_000, 10_000)
    after = find_standing(state, commands, 6_000)
    assert tell_standing(after) == "in no workflow: taken out of calls on 1970-01-01T00:00:05Z (left hot)"
    assert find_standing(state, commands, 500).decision is None
    inside = find_standing(state, commands, 10_005)
    assert (inside.begins, tell_standing(inside)) == (
        None,
        "not enrolled: cooldown (5), since 1970-01-01T00:00:10Z",
    )


def test_commands_of_one_instant_count_as_they_were_sent() -> None:
    commands = [
        sent(1_000, "enrolled", "Ann"),
        sent(5_000, "stop", "Ann", "left hot"),
        sent(5_000, "enrolled", None),
        sent(5_000, "reassign", None),
        sent(5_000, "reassign", "Bo"),
    ]
    found = find_standing(None, commands, 5_000)
    assert (found.workflow, found.owner, found.since) == ("calls", "Bo", 5_000)


def test_a_standing_says_who_owned_the_account_and_for_what_it_waited_meanwhile() -> None:
    log = (
        logged(0, "enrolled", "Ann", "Ann"),
        logged(1_000, "reassign", "", "Bo"),
        logged(2_000, "waiting", "3 of 9 waiting for sales; 2 a day"),
    )
    told = [tell_standing(find_standing(RoutedState(log=log), [], at)) for at in (0, 1_500, 2_000)]
    enrolled = "enrolled in calls since 1970-01-01T00:00:00Z, owner"
    assert told == [
        f"{enrolled} Ann",
        f"{enrolled} Bo",
        f"waiting for calls (3 of 9 waiting for sales; 2 a day); meanwhile {enrolled} Bo",
    ]
    assert tell_standing(find_standing(None, [], 0)) == "no decision of the router is known"
