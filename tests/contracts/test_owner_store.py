"""What every store of owners promises: the one in memory and the one in Redis."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from resegment.schemas.assignment import (
    Assign,
    Assigned,
    Candidate,
    Granted,
    Join,
    LineLook,
    Offer,
    OwnerReply,
    OwnerRequest,
    Queued,
    Rank,
    Release,
    Shift,
    Waiting,
)
from resegment.state.memory import owners as owners_memory
from resegment.state.owner_store import DAYS_KEPT, MemberLoad, OwnerStore
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis import owners as owners_redis
from resegment.streams.owners_mark import OwnersLost, accept_owners, check_owners, mark_owners
from resegment.streams.prefix import read_prefix
from resegment.streams.worker.loops.worker_clock import host_clock
from tests.builders import Routing, definition_of
from tests.unit.agents.test_router import Account, file

TODAY, TOMORROW = "2026-03-01", "2026-03-02"
ANN, BOB, CAT = Candidate("ann"), Candidate("bob"), Candidate("cat")
QUEUE = Assigned("queue", is_queue=True)


@pytest_asyncio.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[OwnerStore]:
    if request.param == "memory":
        yield owners_memory.OwnerStore()
        return
    async with Redis.from_url(redis_url) as client:
        yield owners_redis.OwnerStore(client, uuid.uuid4().hex)


def assign(key: str, *candidates: Candidate, **given: Any) -> Assign:
    ask = {"account": key, "team": "sales", "fallback": "queue", **given}
    return Assign(key=key, candidates=candidates, **ask)


def join(key: str, per_day: int, value: float = 0.0, day: str = TODAY, **given: Any) -> Join:
    ask = {"account": key, "team": "sales", "rank": Rank(value, 0, 0, key), **given}
    return Join(key=key, per_day=per_day, day=day, **ask)


async def settle(store: OwnerStore, ask: OwnerRequest, at: int = 0) -> OwnerReply:
    (answer,) = await store.settle([ask], [at])
    return answer


async def settle_all(store: OwnerStore, *asks: OwnerRequest, at: int = 0) -> list[OwnerReply]:
    return await store.settle(asks, [at] * len(asks))


def granted(place: int, of: int, at: int = 0, day: str = TODAY) -> Granted:
    return Granted(day, place, of, at)


async def opened(store: OwnerStore) -> dict[str, int]:
    return {name: one.open for name, one in (await store.look()).members.items()}


async def waiting(store: OwnerStore, team: str = "sales") -> int:
    return (await store.look()).teams[team].waiting


async def test_nothing_asked_nothing_answered(store: OwnerStore) -> None:
    assert await store.settle([]) == []
    look = await store.look()
    assert (look.members, look.teams) == ({}, {})


async def test_a_key_asked_again_has_the_owner_it_had(store: OwnerStore) -> None:
    first = await settle(store, assign("a", ANN, BOB))
    again = await store.settle([assign("a", BOB), assign("a", team="other"), assign("a", ANN, BOB)])
    assert again == [first] * 3
    assert sum((await opened(store)).values()) == 1


async def test_a_key_twice_in_one_list_is_one_assignment(store: OwnerStore) -> None:
    one, two = await store.settle([assign("a", ANN, BOB), assign("a", ANN, BOB)])
    assert one == two
    assert await opened(store) == {"ann": 1}


async def test_a_released_key_frees_its_room_once(store: OwnerStore) -> None:
    narrow = Candidate("ann", capacity=2)
    await store.settle([assign("a", narrow), assign("b", narrow)])
    assert await store.settle([Release(key="a"), Release(key="a")]) == [None, None]
    assert await opened(store) == {"ann": 1}
    assert await store.settle([assign("c", narrow), assign("d", narrow)]) == [Assigned("ann"), QUEUE]


async def test_a_released_key_that_is_asked_late_has_its_answer_and_takes_no_room(store: OwnerStore) -> None:
    narrow = Candidate("ann", capacity=1)
    await store.settle([assign("a", narrow), Release(key="a")])
    assert await store.settle([assign("a", narrow), assign("b", narrow)]) == [Assigned("ann")] * 2
    assert await opened(store) == {"ann": 1}
    await store.settle([Release(key="a")])
    assert await opened(store) == {"ann": 1}


async def test_releasing_what_was_never_asked_changes_nothing(store: OwnerStore) -> None:
    assert await settle(store, Release(key="a")) is None
    assert (await store.look()).members == {}
    assert await settle(store, assign("a", ANN)) == Assigned("ann")


async def test_capacity_counts_what_a_member_owns_in_every_team(store: OwnerStore) -> None:
    narrow = Candidate("ann", capacity=2)
    asks = [assign("a", narrow, team="one"), assign("b", narrow, team="two"), assign("c", narrow, team="two")]
    assert await store.settle(asks) == [Assigned("ann"), Assigned("ann"), QUEUE]


async def test_a_capacity_that_shrank_takes_nobody_their_accounts(store: OwnerStore) -> None:
    await store.settle([assign(key, ANN) for key in "abc"])
    narrow = Candidate("ann", capacity=1)
    assert await settle(store, assign("d", narrow)) == QUEUE
    await store.settle([Release(key="a"), Release(key="b")])
    assert await settle(store, assign("e", narrow)) == QUEUE
    await store.settle([Release(key="c")])
    assert await settle(store, assign("f", narrow)) == Assigned("ann")


async def test_without_candidates_the_account_goes_to_the_queue(store: OwnerStore) -> None:
    assert await settle(store, assign("a")) == QUEUE
    assert await settle(store, assign("a", ANN)) == QUEUE
    await store.settle([Release(key="a")])
    assert (await store.look()).members == {}


async def test_a_queue_of_a_members_name_is_no_load_of_theirs(store: OwnerStore) -> None:
    await store.settle([assign("a", fallback="ann"), Release(key="a"), assign("b", fallback="ann")])
    assert await settle(store, assign("c", Candidate("ann", capacity=1))) == Assigned("ann")
    await store.settle([Release(key="b")])
    assert await opened(store) == {"ann": 1}


async def test_the_first_preferred_who_has_room_is_taken(store: OwnerStore) -> None:
    group = (ANN, Candidate("bob", capacity=1), CAT)
    asks = [assign(key, *group, preferred=("nobody", "bob", "cat")) for key in "abc"]
    assert await store.settle(asks) == [Assigned("bob"), Assigned("cat"), Assigned("cat")]
    assert await settle(store, assign("d", *group, preferred=("bob",))) == Assigned("ann")


async def test_who_is_preferred_has_their_turn_all_the_same(store: OwnerStore) -> None:
    group = (ANN, BOB)
    await store.settle([assign(f"p{number}", *group, preferred=("ann",)) for number in range(10)])
    drawn = await store.settle([assign(f"d{number}", *group) for number in range(10)])
    assert Counter(drawn) == {Assigned("ann"): 5, Assigned("bob"): 5}
    assert await opened(store) == {"ann": 15, "bob": 5}


async def test_the_least_loaded_for_their_weight_is_taken_and_the_first_of_equals(store: OwnerStore) -> None:
    group = (ANN, Candidate("bob", weight=2), CAT)
    asks = [assign(str(number), *group, strategy="least-loaded") for number in range(8)]
    owners = [answer.owner for answer in await store.settle(asks) if isinstance(answer, Assigned)]
    assert owners == ["ann", "bob", "cat", "bob", "ann", "bob", "cat", "bob"]
    await store.settle([Release(key="2"), Release(key="6")])
    assert await settle(store, assign("x", *group, strategy="least-loaded")) == Assigned("cat")


@pytest.mark.parametrize("seed", range(6))
async def test_turns_keep_everybody_within_one_of_their_share(store: OwnerStore, seed: int) -> None:
    random = Random(seed)
    group = [Candidate(f"m{number}", random.choice([1, 2, 7, 50])) for number in range(random.randint(1, 20))]
    total = sum(one.weight for one in group)
    asks = [assign(str(number), *group) for number in range(600)]
    answers = [
        answer for start in range(0, 600, 50) for answer in await store.settle(asks[start : start + 50])
    ]
    counts: Counter[str] = Counter()
    for number, answer in enumerate(answers, start=1):
        assert isinstance(answer, Assigned)
        counts[answer.owner] += 1
        assert all(abs(counts[one.name] - number * one.weight / total) < 1 for one in group)


async def test_each_team_has_its_own_turns(store: OwnerStore) -> None:
    asks = [assign(f"{team}{n}", ANN, BOB, team=team) for n in range(6) for team in ("one", "two", "three")]
    answers = await store.settle(asks)
    for team in range(3):
        assert Counter(answers[team::3]) == {Assigned("ann"): 3, Assigned("bob"): 3}


async def test_members_and_weights_may_change_between_draws(store: OwnerStore) -> None:
    def draws(name: str, *group: Candidate) -> list[OwnerRequest]:
        return [assign(f"{name}{number}", *group) for number in range(40)]

    await store.settle(draws("a", ANN, BOB))
    assert Counter(await store.settle(draws("b", ANN, CAT))) == {Assigned("ann"): 20, Assigned("cat"): 20}
    heavy = Candidate("cat", weight=3)
    assert Counter(await store.settle(draws("c", ANN, heavy))) == {Assigned("ann"): 10, Assigned("cat"): 30}
    await store.settle([assign(f"alone{number}", CAT) for number in range(1_200)])
    counts = Counter(await store.settle(draws("d", ANN, BOB)))
    assert all(abs(counts[Assigned(name)] - 20) <= 1 for name in ("ann", "bob"))


async def test_whoever_is_gone_gets_nothing_until_they_are_back(store: OwnerStore) -> None:
    await settle(store, assign("a", ANN))
    await store.leave("ann")
    await store.leave("ann")
    asks = [assign("b", ANN), assign("c", ANN, BOB, preferred=("ann",)), assign("a", ANN)]
    assert await store.settle(asks) == [QUEUE, Assigned("bob"), Assigned("ann")]
    assert (await store.look()).members["ann"] == MemberLoad(open=1, drawn=1, gone=True)
    await store.come_back("ann")
    assert await settle(store, assign("d", ANN)) == Assigned("ann")
    assert (await store.look()).members["ann"] == MemberLoad(open=2, drawn=2, gone=False)


# --- lines ---


async def test_no_more_than_per_day_are_granted_a_day(store: OwnerStore) -> None:
    asks = [join(key, 2, value=number) for number, key in enumerate("abcd")]
    assert await settle_all(store, *asks) == [granted(1, 1), granted(1, 1), Waiting(0, 1), Waiting(1, 2)]
    look = (await store.look()).teams["sales"]
    assert (look.granted, look.waiting) == ({TODAY: 2}, 2)
    asks = [join(key, 2, value=number, day=TOMORROW) for number, key in enumerate("abcd")]
    today, tomorrow = granted(1, 1), [granted(place, 2, 7, TOMORROW) for place in (1, 2)]
    assert await settle_all(store, *asks, at=7) == [today, today, *tomorrow]
    look = (await store.look()).teams["sales"]
    assert (look.granted, look.waiting) == ({TODAY: 2, TOMORROW: 2}, 0)


async def test_the_best_of_those_present_when_the_line_has_settled_are_granted(store: OwnerStore) -> None:
    values = {"1": 1, "2": 2, "3": 3, "4": 4, "60": 60, "90": 90}
    asks = [join(key, 2, -value, settle=60_000) for key, value in values.items()]
    first = await settle_all(store, *asks, at=1_000)
    assert first[0] == Waiting(0, 1, 60_000)
    assert first[-1] == Waiting(0, 6, 60_000)
    assert await store.line("sales") == ["90", "60", "4", "3", "2", "1"]
    assert all(isinstance(one, Waiting) for one in await settle_all(store, *asks, at=60_999))
    after = await settle_all(store, *asks, at=61_000)
    assert after[4:] == [granted(2, 6, 61_000), granted(1, 6, 61_000)]
    assert after[:4] == [Waiting(3, 4), Waiting(2, 4), Waiting(1, 4), Waiting(0, 4)]


async def test_a_look_at_a_line_has_places_grants_of_the_day_and_when_it_has_settled(
    store: OwnerStore,
) -> None:
    assert await store.look_at_line("sales", TODAY) == LineLook({})
    await settle_all(store, *(join(key, 2, value, settle=60_000) for value, key in enumerate("abcd")), at=5)
    settling = LineLook({"a": 0, "b": 1, "c": 2, "d": 3}, 0, 60_005)
    assert await store.look_at_line("sales", TODAY) == settling
    await settle(store, join("d", 2, 3, settle=60_000), 60_005)
    assert await store.look_at_line("sales", TODAY) == LineLook({"c": 0, "d": 1}, 2)
    assert await store.look_at_line("sales", TOMORROW) == LineLook({"c": 0, "d": 1})
    assert await store.look_at_line("others", TODAY) == LineLook({})


async def test_a_look_at_a_line_may_be_for_some_keys_and_reads_no_others(store: OwnerStore) -> None:
    await settle_all(store, *(join(key, 1, value, settle=60_000) for value, key in enumerate("abcd")), at=5)
    wanted = ["c", "a", "not in it"]
    look = await store.look_at_line("sales", TODAY, wanted)
    assert look == LineLook({"c": 2, "a": 0}, 0, 60_005, 4)
    assert look.length == (await store.look_at_line("sales", TODAY)).length == 4
    await settle(store, join("d", 1, 3, settle=60_000), 60_005)
    assert await store.look_at_line("sales", TODAY, wanted) == LineLook({"c": 1}, 1, None, 3)
    assert await store.look_at_line("others", TODAY, wanted) == LineLook({}, 0, None, 0)
    assert await store.look_at_line("sales", TODAY, []) == LineLook({}, 1, None, 3)


async def test_each_newcomer_extends_the_window_up_to_ten_minutes(store: OwnerStore) -> None:
    for number in range(12):
        left = min(60_000, 600_000 - number * 50_000)
        answer = await settle(store, join(f"k{number:02}", 1, -number, settle=60_000), number * 50_000)
        assert answer == Waiting(0, number + 1, left)
    assert await settle(store, join("k11", 1, -11, settle=60_000), 599_999) == Waiting(0, 12, 1)
    assert await settle(store, join("k11", 1, -11, settle=60_000), 600_000) == granted(1, 12, 600_000)


async def test_a_newcomer_after_the_window_opens_another_and_goes_before_those_who_wait(
    store: OwnerStore,
) -> None:
    await settle_all(store, join("a", 1, 1.0, settle=100), join("b", 1, 2.0, settle=100))
    assert await settle(store, join("c", 1, 0.5, settle=100), 100) == Waiting(0, 2, 100)
    assert await settle(store, join("a", 1, 1.0, settle=100), 100) == granted(1, 2, 100)
    tomorrow = [join(key, 1, value, TOMORROW, settle=100) for key, value in (("b", 2.0), ("c", 0.5))]
    assert await settle_all(store, *tomorrow, at=150) == [Waiting(1, 2, 50), Waiting(0, 2, 50)]
    assert await settle_all(store, *tomorrow, at=200) == [Waiting(0, 1), granted(1, 2, 200, TOMORROW)]


async def test_a_window_settles_the_line_before_a_late_newcomer_is_heard(store: OwnerStore) -> None:
    await settle(store, join("a", 1, 1.0, settle=100))
    assert await settle(store, join("best", 1, 0.0, settle=100), 5_000) == Waiting(0, 1, 100)
    assert await settle(store, join("a", 1, 1.0, settle=100), 5_000) == granted(1, 1, 5_000)


async def test_a_grant_asked_for_again_is_the_same_also_once_there_is_an_owner(store: OwnerStore) -> None:
    first = await settle(store, join("a", 1))
    assert await settle(store, join("a", 9, day=TOMORROW), 5) == first
    await settle(store, assign("a", ANN))
    assert await settle(store, join("a", 9, day=TOMORROW), 6) == first
    await settle(store, Release(key="a"))
    assert await settle(store, join("a", 9, day=TOMORROW), 7) == first


async def test_ties_are_broken_by_segment_time_and_name(store: OwnerStore) -> None:
    places = [("d", 1, 0, "a.com"), ("c", 0, 9, "a.com"), ("b", 0, 5, "z.com"), ("a", 0, 5, "b.com")]
    asks = [join(key, 1, rank=Rank(1.0, *rest), settle=10) for key, *rest in places]
    await settle_all(store, *asks)
    assert await store.line("sales") == ["a", "b", "c", "d"]


async def test_values_are_compared_to_the_last_digit(store: OwnerStore) -> None:
    base = 7 * (1 << 42) + 1_772_323_200_000
    values = {"b": base + 1, "a": base, "c": -0.1, "last": float("inf"), "first": float("-inf")}
    await settle_all(store, *(join(key, 1, value, settle=10) for key, value in values.items()))
    assert await store.line("sales") == ["first", "c", "a", "b", "last"]


async def test_asked_again_with_another_rank_one_that_waits_moves(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), join("a", 1, 1.0), join("b", 1, 2.0))
    assert await settle(store, join("a", 1, 3.0)) == Waiting(1, 2)
    assert await waiting(store) == 2


async def test_one_that_waits_is_released_from_waiting_and_never_joins_again(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), join("a", 1, 1.0), join("b", 1, 2.0))
    assert await settle(store, Release(key="a")) is None
    assert await settle(store, join("b", 1, 2.0)) == Waiting(0, 1)
    assert isinstance(await settle(store, join("a", 1, 1.0)), Waiting)
    assert await waiting(store) == 1
    assert await settle(store, join("b", 1, 2.0, TOMORROW), 9) == granted(1, 1, 9, TOMORROW)


async def test_a_grant_that_led_to_an_owner_is_used_up_and_one_that_did_not_is_given_back(
    store: OwnerStore,
) -> None:
    await settle_all(store, join("a", 1), Release(key="a"))
    assert await settle(store, join("b", 1)) == granted(1, 1)
    await settle_all(store, assign("b", ANN), Release(key="b"))
    assert await settle(store, join("c", 1)) == Waiting(0, 1)


async def test_one_that_waits_and_whose_team_is_another_now_waits_there(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), join("other", 1, team="partners"), join("a", 1, 1.0))
    assert await settle(store, join("a", 1, 1.0, team="partners")) == Waiting(0, 1)
    assert (await waiting(store), await waiting(store, "partners")) == (0, 1)
    await settle(store, Release(key="a"))
    assert await waiting(store, "partners") == 0


async def test_one_that_waits_and_need_not_any_more_gets_its_owner(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), join("a", 1))
    assert await settle(store, assign("a", ANN)) == Assigned("ann")
    assert await waiting(store) == 0


async def test_a_team_forgets_the_counters_of_its_oldest_days(store: OwnerStore) -> None:
    days = [
        f"{2026 + month // 12}-{month % 12 + 1:02}-{day:02}" for month in range(24) for day in range(1, 29)
    ]
    await settle(store, join("one", 1, day="2020-01-01", team="partners"))
    await settle_all(store, *(join(day, 1, day=day) for day in days[:300]))
    look = (await store.look()).teams
    assert sorted(look["sales"].granted) == days[300 - DAYS_KEPT : 300]
    assert look["partners"].granted == {"2020-01-01": 1}


# --- queues ---


ON_SHIFT = [Shift("sales", (ANN, BOB))]


def queued(key: str, *eligible: str) -> Assign:
    return assign(key, eligible=eligible)


async def test_what_is_in_a_queue_is_offered_to_those_on_shift_the_longest_first(store: OwnerStore) -> None:
    for number, key in enumerate(("c", "b", "a")):
        assert await settle(store, queued(key, "ann", "cat"), number) == QUEUE
    assert await store.offer([Shift("sales", (BOB,))], 10) == []
    assert await store.offer([Shift("other", (ANN,))], 10) == []
    narrow = Shift("sales", (Candidate("ann", capacity=2), BOB))
    assert await store.offer([narrow], 10) == [Offer("c", "c"), Offer("b", "b")]
    assert await store.offer([narrow], 10) == []
    assert await store.offer([narrow], 30_010) == [Offer("c", "c"), Offer("b", "b")]


async def test_a_look_counts_what_is_in_queues_by_the_members_who_may_take_it(store: OwnerStore) -> None:
    for key, eligible in (("a", "ann cat"), ("b", "cat"), ("c", "ann cat"), ("d", "")):
        assert await settle(store, queued(key, *eligible.split())) == QUEUE
    await settle(store, Release(key="b"))
    found = [(one.team, one.eligible, one.accounts) for one in (await store.look()).queues]
    assert found == [("sales", ("ann", "cat"), 2)]


async def test_over_all_queues_the_longest_in_one_is_offered_first_and_no_more_than_there_is_room_for(
    store: OwnerStore,
) -> None:
    for at, key, eligible in ((5, "young", "ann cat"), (3, "old", "ann"), (4, "next", "ann dan")):
        assert await settle(store, queued(key, *eligible.split()), at) == QUEUE
    full, roomy = (Shift("sales", (Candidate("ann", capacity=size),)) for size in (1, 2))
    assert await store.offer([full], 10) == [Offer("old", "old")]
    assert await store.offer([roomy], 30_010) == [Offer("old", "old"), Offer("next", "next")]
    both = Shift("sales", (Candidate("ann", capacity=1), Candidate("dan", capacity=1)))
    assert await store.offer([both], 60_010) == [Offer("old", "old"), Offer("next", "next")]


async def test_nothing_is_offered_to_somebody_without_room_or_who_has_left(store: OwnerStore) -> None:
    full = Candidate("ann", capacity=1)
    await settle_all(store, assign("mine", full), queued("a", "ann"))
    assert await store.offer([Shift("sales", (full,))], 10) == []
    await settle(store, Release(key="mine"))
    await store.leave("ann")
    assert await store.offer([Shift("sales", (full,))], 10) == []
    await store.come_back("ann")
    assert await store.offer([Shift("sales", (full,))], 10) == [Offer("a", "a")]


async def test_an_owner_takes_an_account_out_of_the_queue_in_one_step(store: OwnerStore) -> None:
    full = Candidate("ann", capacity=1)
    await settle_all(store, assign("mine", full), queued("a", "ann"))
    assert await settle(store, assign("a2", full, eligible=("ann",), queued="a")) is None
    await settle(store, Release(key="mine"))
    taken = assign("a2", full, eligible=("ann",), queued="a")
    assert await settle_all(store, taken, taken) == [Assigned("ann")] * 2
    assert await store.offer(ON_SHIFT, 10**9) == []
    assert await opened(store) == {"ann": 1}


async def test_other_members_may_take_a_queued_account_whose_territory_is_another(store: OwnerStore) -> None:
    await settle(store, queued("a"))
    assert await store.offer(ON_SHIFT, 10) == []
    assert await settle(store, assign("a2", account="a", eligible=("ann",), queued="a")) is None
    assert await store.offer(ON_SHIFT, 10) == [Offer("a", "a")]
    assert await settle(store, assign("a2", account="a", eligible=("eve",), queued="a")) is None
    assert await store.offer(ON_SHIFT, 10**9) == []


async def test_a_queued_account_that_others_may_take_now_has_been_in_the_queue_as_long(
    store: OwnerStore,
) -> None:
    for number, key in enumerate("cba"):
        await settle(store, queued(key, "ann"), number)
    for key in "abc":
        again = assign(f"{key}2", account=key, eligible=("ann", "eve"), queued=key)
        assert await settle(store, again, 9) is None
    room = Shift("sales", (Candidate("eve", capacity=1),))
    assert [one.key for one in await store.offer([room], 10)] == ["c"]


async def test_a_queued_account_that_is_released_is_offered_no_more(store: OwnerStore) -> None:
    await settle_all(store, queued("a", "ann"), Release(key="a"))
    assert await store.offer(ON_SHIFT, 10) == []


async def test_a_line_is_granted_when_its_time_has_come_although_nobody_asks(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), assign("full", ANN), join("a", 1, 1.0), join("b", 1, 2.0))
    assert await store.offer([Shift("sales", (), 1, TODAY)], 10) == []
    assert await store.offer([Shift("sales", (), 1, TOMORROW)], 10) == []
    assert await store.offer([Shift("sales", (), 1, TOMORROW)], 2_010) == [Offer("a", "a")]
    assert await settle(store, join("a", 1, 1.0, TOMORROW), 2_010) == granted(1, 2, 10, TOMORROW)
    await settle(store, assign("a", ANN))
    assert await store.offer([Shift("sales", (), 1, TOMORROW)], 10**9) == []


# --- a recount ---


async def test_a_recount_sets_loads_to_what_is_open(store: OwnerStore) -> None:
    await store.settle([assign("a", ANN), assign("b", ANN), assign("c", BOB), assign("q"), assign("r")])
    await settle_all(store, join("full", 1), join("w", 1))
    kept = {"a": ("sales", "ann"), "q": ("sales", "queue"), "new": ("sales", "cat"), "c": ("sales", "cat")}
    await store.recount(kept, ["w"])
    look = await store.look()
    assert {name: one.open for name, one in look.members.items() if one.open} == {"ann": 1, "cat": 2}
    assert look.teams["sales"].waiting == 1
    again = await store.settle([assign("a", BOB), assign("q", BOB), assign("new", BOB), assign("c", BOB)])
    assert again == [Assigned("ann"), QUEUE, Assigned("cat"), Assigned("cat")]
    assert await settle(store, assign("b", CAT)) == Assigned("cat")
    await store.settle([Release(key=key) for key in ("a", "q", "new", "c", "r")])
    assert {name: count for name, count in (await opened(store)).items() if count} == {"cat": 1}


async def test_a_recount_takes_what_it_counts_out_of_waiting(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), join("w", 1))
    await store.recount({"w": ("sales", "bob")}, ["w"])
    assert await waiting(store) == 0
    assert await settle(store, assign("w")) == Assigned("bob")


async def test_a_recount_lets_nobody_wait_whom_no_account_knows(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), *(join(key, 1, n) for n, key in enumerate("abc")))
    await settle_all(store, join("a", 1, team="partners"), join("b", 1, team="partners"))
    await store.recount({"full": ("sales", "ann")}, ["c", "unknown", "full"])
    assert (await waiting(store), await waiting(store, "partners")) == (1, 0)
    assert await settle(store, join("c", 1, 2.0)) == Waiting(0, 1)
    assert await store.settle([assign("full", BOB), assign("a", BOB)]) == [Assigned("ann"), Assigned("bob")]
    assert await settle(store, join("c", 2, 2.0)) == granted(1, 1)


async def test_a_recount_keeps_who_waits_in_their_place(store: OwnerStore) -> None:
    await settle_all(store, join("full", 1), *(join(key, 1, n) for n, key in enumerate("abc")))
    await store.recount({}, ["c", "a"])
    assert await settle_all(store, join("c", 1, 2.0), join("a", 1, 0.0)) == [Waiting(1, 2), Waiting(0, 2)]


async def test_a_recount_lists_those_in_queues_with_the_members_who_may_take_them(store: OwnerStore) -> None:
    await store.settle([assign("known")])
    queue = ("sales", "queue")
    listed = {
        "a": Queued("a.com", 5, ("ann",)),
        "b": Queued("b.com", 4, ("ann",)),
        "c": Queued("c.com", 3, ()),
    }
    await store.recount(dict.fromkeys(("a", "b", "c", "known"), queue), (), listed)
    assert await opened(store) == {}
    assert await store.offer(ON_SHIFT, 10) == [Offer("b.com", "b"), Offer("a.com", "a")]
    taken = assign("a2", ANN, account="a.com", eligible=("ann",), queued="a")
    assert await settle(store, taken) == Assigned("ann")
    assert await opened(store) == {"ann": 1}


async def test_a_recount_keeps_a_grant_that_its_account_has_not_taken(store: OwnerStore) -> None:
    await settle_all(store, join("a", 2), join("b", 2))
    await store.recount({}, ["a"])
    assert await settle(store, join("a", 9, day=TOMORROW), 5) == granted(1, 1)
    assert await settle(store, join("b", 9, day=TOMORROW), 5) == granted(1, 1, 5, TOMORROW)


async def test_a_recount_of_nothing_forgets_all(store: OwnerStore) -> None:
    await settle_all(store, assign("a", ANN), join("full", 1), join("w", 1))
    await store.recount({}, ())
    assert await opened(store) == {"ann": 0}
    assert await waiting(store) == 0
    assert await settle(store, assign("a", BOB)) == Assigned("bob")


async def test_names_of_any_script_are_kept_apart(store: OwnerStore) -> None:
    names = ["ann lee", "Ønskeliste", "{a}", "a\nb", "日本", "2026-03-01 x"]
    lines = [join(name, 1, team=name) for name in names]
    assert await settle_all(store, *lines) == [granted(1, 1)] * len(names)
    asks = [assign(name, Candidate(name), team=name, fallback=name) for name in names]
    assert await store.settle(asks) == [Assigned(name) for name in names]
    look = await store.look()
    assert set(look.members) == set(look.teams) == set(names)
    assert all(team.granted == {TODAY: 1} for team in look.teams.values())


async def test_a_long_list_is_answered_in_its_order(store: OwnerStore) -> None:
    asks = [assign(str(number), Candidate(f"m{number}")) for number in range(1_203)]
    assert await store.settle(asks) == [Assigned(f"m{number}") for number in range(1_203)]


# --- against a model that knows of room only ---


def random_asks(random: Random, count: int) -> Iterable[OwnerRequest]:
    capacities = {"ann": 1, "bob": 3, "cat": 2, "dan": None}
    for _ in range(count):
        key = f"k{random.randrange(30)}"
        if random.random() < 0.35:
            yield Release(key=key)
            continue
        names = random.sample(sorted(capacities), random.randint(0, 3))
        group = tuple(Candidate(name, random.randint(1, 4), capacities[name]) for name in names)
        team = random.choice(["one", "two"])
        if random.random() < 0.4:
            rank = Rank(random.randrange(4), random.randrange(2), random.randrange(3), key)
            day, most = random.choice([TODAY, TOMORROW]), random.randint(1, 4)
            settled = random.choice([0, 0, 50])
            yield Join(key=key, account=key, team=team, per_day=most, day=day, rank=rank, settle=settled)
            continue
        yield assign(
            key,
            *group,
            team=team,
            strategy=random.choice(["round-robin", "least-loaded"]),
            preferred=tuple(random.sample(sorted(capacities), random.randint(0, 2))),
            eligible=tuple(names),
            queued=random.choice([None, None, f"k{random.randrange(30)}"]),
        )


class Room:
    """What may never happen, whatever is asked in whatever order."""

    def __init__(self) -> None:
        self.owned: dict[str, str] = {}
        self.answered: dict[str, OwnerReply] = {}

    def check(self, ask: OwnerRequest, answer: OwnerReply) -> None:
        if isinstance(ask, Release):
            assert answer is None
            self.owned.pop(ask.key, None)
            return
        if isinstance(ask, Join):
            assert isinstance(answer, Granted | Waiting)
            return
        before = self.answered.get(ask.key)
        if isinstance(before, Assigned):
            assert answer == before
            return
        if not isinstance(answer, Assigned):
            return
        self.answered[ask.key] = answer
        loads = Counter(self.owned.values())
        self.owned.pop(ask.queued or "", None)
        with_room = [
            one.name for one in ask.candidates if one.capacity is None or loads[one.name] < one.capacity
        ]
        if not with_room:
            assert answer == QUEUE
            assert ask.queued is None
            return
        assert not answer.is_queue
        wanted = [name for name in ask.preferred if name in with_room]
        assert answer.owner in (wanted[:1] or with_room)
        self.owned[ask.key] = answer.owner


@pytest.mark.parametrize("seed", range(25))
async def test_nobody_ever_has_more_than_they_have_room_for(store: OwnerStore, seed: int) -> None:
    random, room = Random(seed), Room()
    asks = list(random_asks(random, 300))
    while asks:
        some, asks = asks[: (size := random.randint(1, 40))], asks[size:]
        for ask, answer in zip(some, await store.settle(some), strict=True):
            room.check(ask, answer)
    assert {name: count for name, count in (await opened(store)).items() if count} == Counter(
        room.owned.values()
    )


@pytest.mark.parametrize("seed", range(10))
async def test_both_stores_answer_alike_however_asks_are_bundled(redis_url: str, seed: int) -> None:
    random = Random(seed)
    asks = list(random_asks(random, 400))
    twin = owners_memory.OwnerStore()
    async with Redis.from_url(redis_url) as client:
        stored = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        times = list(itertools.accumulate(random.randrange(20) for _ in asks))
        expected = [await settle(twin, ask, at) for ask, at in zip(asks, times, strict=True)]
        assert await stored.settle(asks, times) == expected
        assert await stored.look() == await twin.look()
        for team in ("one", "two"):
            assert await stored.line(team) == await twin.line(team)
            whole = await stored.look_at_line(team, TODAY)
            assert whole == await twin.look_at_line(team, TODAY)
            some = [one.key for one in asks][::3]
            look = await stored.look_at_line(team, TODAY, some)
            assert look == await twin.look_at_line(team, TODAY, some)
            assert look.places == {key: whole.places[key] for key in some if key in whole.places}
        shifts = [
            Shift(team, (Candidate("ann", capacity=1), Candidate("dan")), 5, "2026-03-03")
            for team in ("one", "two")
        ]
        for at in (times[-1], times[-1] + 5_000):
            offers = [await one.offer(shifts, at) for one in (stored, twin)]
            assert sorted(offers[0], key=str) == sorted(offers[1], key=str)


# --- what only Redis has to promise ---


async def test_released_keys_expire_and_open_ones_do_not(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        await store.settle([assign("a", ANN), assign("b", ANN), Release(key="b"), join("t", 1)])
        kept = 30 * 86_400
        assert kept - 60 < await client.ttl(store.keys.released("b")) <= kept
        names = [key async for key in client.scan_iter(f"{store.keys.tag}:*")]
        assert [key for key in names if await client.ttl(key) != -1] == [store.keys.released("b").encode()]


async def test_every_key_lies_in_one_slot(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        prefix = uuid.uuid4().hex
        store = owners_redis.OwnerStore(client, prefix)
        await store.leave("bob")
        asks = (join("b", 1), join("c", 1), join("d", 1, team="x", settle=60_000), queued("q", "ann"))
        await store.settle([assign("a", ANN), Release(key="a"), *asks])
        await store.offer(ON_SHIFT)
        names = [key.decode() async for key in client.scan_iter(f"*{prefix}*")]
        assert len(names) == 14
        assert all(name.startswith(f"rs:{{{prefix}.owners}}:") for name in names)


async def test_a_server_that_forgot_the_scripts_answers_as_before(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        await settle(store, assign("a", ANN))
        await client.script_flush()
        assert await settle(store, assign("a", BOB)) == Assigned("ann")


@pytest.mark.parametrize("broken", ["open", "turns", "gone", "granted", "held"])
async def test_what_cannot_be_settled_changes_nothing(redis_url: str, broken: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        await store.settle([assign("a", ANN), assign("b", ANN), join("t", 3)])
        await client.delete(getattr(store.keys, broken))
        await client.set(getattr(store.keys, broken), "no hash")
        before = await _contents(client, store.keys.tag)
        with pytest.raises(StoreUnavailable):
            await store.settle([Release(key="a"), join("c", 3), Release(key="b"), assign("d", ANN, BOB)])
        after = await _contents(client, store.keys.tag)
        for name in (store.keys.line("sales"), store.keys.ready):
            after.pop(name.encode(), None)
            before.pop(name.encode(), None)
        assert after == before


async def _contents(client: Redis, tag: str) -> dict[bytes, bytes | None]:
    return {key: await client.dump(key) async for key in client.scan_iter(f"{tag}:*")}


async def test_a_recount_takes_out_a_place_in_the_queue_that_no_record_has(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        await settle_all(store, join("full", 1), join("w", 1, 2.0))
        await client.zadd(store.keys.line("sales"), {"phantom": 1.0})
        assert await settle(store, join("w", 1, 2.0)) == Waiting(1, 2)
        await store.recount({}, ["w"])
        assert await settle(store, join("w", 1, 2.0)) == Waiting(0, 1)


async def test_what_waited_before_there_were_lines_waits_on_and_settles(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        packed = msgspec.msgpack.encode(("w", "sales", "", False))
        await client.hset(store.keys.held, mapping={"old": packed, "older": packed})  # type: ignore[misc]
        await client.zadd(store.keys.waiting("sales"), {"old": 30786325577728.0, "older": 2.0})
        assert await settle(store, join("old", 1, 1.0, settle=100), 0) == Waiting(0, 1, 100)
        assert await settle(store, join("older", 1, 0.0, settle=100), 50) == Waiting(0, 2, 100)
        assert await settle(store, join("older", 1, 0.0, settle=100), 150) == granted(1, 2, 150)
        assert await client.exists(store.keys.waiting("sales")) == 0


async def test_without_a_clock_of_facts_the_line_settles_by_that_of_the_server(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        (waits,) = await store.settle([join("a", 1, settle=60_000)])
        assert waits == Waiting(0, 1, 60_000)
        seconds, _ = await client.time()
        (again,) = await store.settle([join("a", 1, settle=60_000)])
        assert isinstance(again, Waiting)
        assert 50_000 < again.settles_in <= 60_000
        late = await settle(store, join("a", 1, settle=60_000), (seconds + 120) * 1000)
        assert late == granted(1, 1, (seconds + 120) * 1000)


@pytest.mark.parametrize("broken", ["open", "turns", "held"])
async def test_a_recount_that_cannot_be_made_changes_nothing(redis_url: str, broken: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        await store.settle([assign("a", ANN), join("full", 1), join("w", 1)])
        await client.delete(getattr(store.keys, broken))
        await client.set(getattr(store.keys, broken), "no hash")
        before = await _contents(client, store.keys.tag)
        with pytest.raises(StoreUnavailable):
            await store.recount({"b": ("sales", "bob")}, ())
        assert await _contents(client, store.keys.tag) == before


async def test_a_server_that_is_away_is_said_to_be(unused_tcp_port: int) -> None:
    async with Redis(port=unused_tcp_port, retry=Retry(NoBackoff(), 0)) as client:
        store = owners_redis.OwnerStore(client, "away")
        asked: Sequence[Any] = (
            store.settle([Release(key="a")]), store.look(), store.leave("a"), store.come_back("a"),
            store.recount({}, ()), store.offer([]), store.line("a"),
            store.look_at_line("a", TODAY),
        )  # fmt: skip
        for one in asked:
            with pytest.raises(StoreUnavailable):
                await one


@pytest.mark.parametrize("written_since", [False, True])
async def test_owners_that_redis_lost_are_missed_until_they_are_recounted(
    redis_url: str, written_since: bool
) -> None:
    name = uuid.uuid4().hex
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, name)
        for _ in range(2):  # a worker, and the next one
            await mark_owners(client, name, await read_prefix(client, name))
        held = await read_prefix(client, name)
        await store.leave("ada")
        await check_owners(client, name, held)

        await client.delete(store.keys.gone, store.keys.origin)
        if written_since:
            await store.leave("bob")
        for look in (check_owners, mark_owners):
            with pytest.raises(OwnersLost):
                await look(client, name, held)

        await store.recount({}, ())
        await accept_owners(client, name)
        await mark_owners(client, name, await read_prefix(client, name))


async def test_a_router_grants_by_the_clock_of_the_server(redis_url: str) -> None:
    team = {"members": ["ann"], "per_day": 2, "order": {"highest": "score"}, "settle": "1s"}
    async with Redis.from_url(redis_url) as client:
        store = owners_redis.OwnerStore(client, uuid.uuid4().hex)
        began = host_clock()
        routing = Routing(definition_of(file(teams={"sales": team})), now=began)
        routing.router = dataclasses.replace(routing.router, owners=store)
        await routing.take()
        moves = [Account(f"a{n}.com").moves("hot", at=began, values={"score": n}) for n in range(6)]
        assert await routing.follow(*moves) == []
        made: list[Any] = []
        async with asyncio.timeout(60):
            while len(made) < 2:
                await asyncio.sleep(0.05)
                made += await routing.wait_until(host_clock())
        assert sorted(one["account"] for one in made) == ["a4.com", "a5.com"]
        assert host_clock() - began >= 1_000
