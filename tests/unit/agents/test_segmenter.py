"""The segmenter over a store in memory: what one batch comes to, and what stays when something fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.agents.batch import Message, PublishFailed, RecordedMessage
from resegment.agents.partition import OutOfStep
from resegment.schemas.change import SegmentChange
from resegment.segmentation.evaluation.compiler import Values
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.inspection.backtest import backtest
from resegment.state.memory.partition import Memory
from resegment.state.partition_store import Commit, Committed, Fenced, RolledBack, StoreUnavailable
from resegment.streams.message_factory import MessageFactory
from tests.builders import Rig, facts_of, moves, replaces_methods, run, signal, signals, ticking
from tests.oracle.cases import BRIEF, FUNDED, day, event, funding, hiring, only, segments, snapshot

DAY = 86_400_000
WEEK = only({"event": "funding", "within": "7d"})


def company(number: int, instant: int, **given: Any) -> dict[str, Any]:
    return funding(instant, account=f"company-{number}.com", **given)


async def test_a_fact_moves_an_account_and_all_is_committed_as_one() -> None:
    rig = await run(Rig(WEEK), [signals(facts_of([funding(day(0))]))])
    assert rig.net == [("acme.com", None, "in", day(0))]
    assert rig.memory.deadlines == {"acme.com": day(7)}
    assert rig.memory.sizes == {"in": 1}
    position = rig.memory.position
    assert position is not None
    assert (position.offset, position.clock, position.timestamp) == (1, day(0), day(0))


async def test_records_already_committed_are_skipped() -> None:
    records = signals(facts_of([funding(day(0), id="a"), hiring(day(1), id="b"), funding(day(2), id="c")]))
    rig = await run(Rig(WEEK), [records[:2]])
    again = await rig.feed(*records)
    assert again.facts == 1
    before = dict(rig.memory.accounts)
    assert (await rig.feed(*records)).facts == 0
    assert rig.memory.accounts == before


async def test_facts_of_one_instant_in_one_batch_are_judged_together() -> None:
    file = segments(first={"event": "funding"}, second={"event": "hiring"})
    rig = await run(Rig(file), [signals(facts_of([hiring(day(0)), funding(day(0))]))])
    assert moves(rig.changes) == [("acme.com", None, "first", day(0))]
    assert set(rig.changes[0].cause.events) == {f"hiring-{day(0)}", f"funding-{day(0)}"}


async def test_facts_of_one_instant_in_two_batches_make_the_earlier_change_void() -> None:
    file = segments(first={"event": "funding"}, second={"event": "hiring"})
    one, two = signals(facts_of([hiring(day(0)), funding(day(0))]))
    rig = await run(Rig(file), [[one], [two]])
    first, second = rig.changes
    assert (first.to, second.from_, second.to) == ("second", None, "first")
    assert (second.supersedes, second.supersedes_to) == (first.id, "second")
    assert (first.sequence_number, second.sequence_number) == (1, 2)
    assert rig.net == [("acme.com", None, "first", day(0))]
    assert rig.memory.sizes == {"second": 0, "first": 1}


async def test_what_an_instant_itself_undoes_comes_to_nothing() -> None:
    file = only({"not": FUNDED}, cooldown="30d")
    events = [snapshot(day(0)), funding(day(1), id="a"), funding(day(1), id="b", record="a", op="retract")]
    rig = await run(Rig(file), [[one] for one in signals(facts_of(events))])
    assert rig.net == [("acme.com", None, "in", day(0))]
    assert rig.state("acme.com").membership.segment == "in"
    assert rig.changes[-1].from_ == rig.changes[-1].to == "in"


async def test_a_tick_moves_time() -> None:
    rig = await run(Rig(WEEK), [signals(facts_of([funding(day(0))])), [ticking(1, day(9))]])
    assert rig.net == [("acme.com", None, "in", day(0)), ("acme.com", "in", "out", day(7))]
    assert rig.results[-1].ticks == 1
    assert rig.memory.deadlines == {}


async def test_time_never_runs_backwards() -> None:
    late = signal(2, facts_of([funding(day(3))])[0], at=day(1))
    rig = await run(Rig(WEEK), [[ticking(0, day(5)), ticking(1, day(2))], [late]])
    assert rig.owned.position.clock == day(5)
    assert rig.net == [("acme.com", None, "in", day(5))]


async def test_one_batch_decides_deadlines_between_its_facts_at_their_instants() -> None:
    records = signals(facts_of([funding(day(0), id="a"), funding(day(30), id="b")]))
    rig = await run(Rig(WEEK), [records])
    assert [change.effective_at for change in rig.changes] == [day(0), day(7), day(30)]
    assert [change.decided_at for change in rig.changes] == [day(30)] * 3


async def test_a_deadline_that_falls_on_a_fact_is_decided_with_it() -> None:
    records = signals(facts_of([funding(day(0), id="a"), funding(day(7), id="b")]))
    rig = await run(Rig(WEEK), [[one] for one in records])
    assert rig.net == [("acme.com", None, "in", day(0))]


@given(seed=st.integers(0, 2**32), cached=st.sampled_from([0, 5_000, 10**9]))
@settings(max_examples=60, deadline=None)
async def test_how_records_fall_into_batches_makes_no_difference(seed: int, cached: int) -> None:
    draw = random.Random(seed)

    def unsubscribe(at: int, **given: Any) -> dict[str, Any]:
        return event("engagement", at, action="unsubscribe", **given)

    kinds: list[Callable[..., dict[str, Any]]] = [funding, hiring, unsubscribe]
    file = segments(
        early={"all": [{"event": "funding", "within": "2d"}, {"event": "hiring", "within": "3d"}]},
        late={"when": BRIEF, "hold": {"min_dwell": "2d", "cooldown": "1d"}},
        quiet={"not": {"event": "engagement", "within": "5d"}},
    )
    events = [
        draw.choice(kinds)(
            day(draw.randint(0, 40) / 2), account=f"c{draw.randint(0, 3)}.com", id=f"i{number}"
        )
        for number in range(draw.randint(1, 40))
    ]
    records = signals(sorted(facts_of(events), key=lambda fact: fact.recorded))
    end = [ticking(len(records), day(60))]

    whole = await run(Rig(file), [records, end])
    cuts = sorted(draw.sample(range(len(records) + 1), k=draw.randint(0, len(records))))
    parts = [records[start:stop] for start, stop in zip([0, *cuts], [*cuts, None], strict=True)]
    split = await run(Rig(file, cache_bytes=cached), [*filter(None, parts), end])

    assert (
        split.net
        == whole.net
        == moves(c for _, cs in backtest(whole.engine.program, facts_of(events), day(60)) for c in cs)
    )
    assert split.standing() == whole.standing()
    assert split.memory.deadlines == whole.memory.deadlines
    assert {name: size for name, size in split.memory.sizes.items() if size} == {
        name: size for name, size in whole.memory.sizes.items() if size
    }
    between = [r for n, r in enumerate(records) if n == 0 or records[n - 1].timestamp < r.timestamp]
    starts = [record.offset for record in between]
    instants = [records[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    apart = await run(Rig(file, cache_bytes=cached), [*instants, end])
    assert apart.states() == whole.states()


async def test_a_rule_that_fails_on_a_value_sets_its_fact_aside_and_the_others_go_on() -> None:
    rig = Rig(segments(bad={"event": "funding", "where": {"round": "ipo"}, "within": "7d"}, in_=FUNDED))
    program, first = rig.engine.program, rig.engine.program.first

    def fail(values: Values) -> int:
        if first(values) == program.numbers["bad"]:
            raise ZeroDivisionError("a rule")
        return first(values)

    program.first = fail
    events = [
        funding(day(0), id="good"),
        company(2, day(0), id="before"),
        company(2, day(1), id="poison", round="ipo"),
        company(2, day(2), id="behind"),
    ]
    rig = await run(rig, [signals(facts_of(events))])
    assert [move[0] for move in rig.net] == ["acme.com", "company-2.com"]
    assert {one.id for one in rig.state("company-2.com").entries} == {"before", "behind"}
    (letter,) = rig.published.to("dead-letters")
    headers = dict(letter.headers)
    assert (headers["dl_reason"], headers["dl_offset"]) == (b"decision-failed", b"2")
    assert rig.owned.position.offset == 4


async def test_records_are_set_aside_in_their_order_and_none_of_them_makes_an_account() -> None:
    good = [one.value for one in signals(facts_of([company(n, day(0), id=f"i{n}") for n in range(3)]))]
    records = [
        RecordedMessage(0, day(0), b"company-2.com", b"broken"),
        RecordedMessage(1, day(0), b"company-1.com", b"broken"),
        RecordedMessage(2, day(0), b"company-1.com", good[1]),
        RecordedMessage(3, day(0), b"acme.com", good[0]),
        RecordedMessage(4, day(0), b"\xff\xfe", good[2]),
        RecordedMessage(5, day(0), b"nobody.com", b"{}"),
        RecordedMessage(6, day(0), None, good[2]),
    ]
    rig = await run(Rig(WEEK), [records])
    assert sorted(rig.memory.accounts) == ["company-1.com"]
    assert rig.state("company-1.com").membership.segment == "in"
    letters = [dict(one.headers)["dl_offset"] for one in rig.published.to("dead-letters")]
    assert letters == [b"0", b"1", b"3", b"4", b"5", b"6"]
    refused = rig.results[0].refused
    assert [one.offset for one in refused] == [0, 1, 3, 4, 5, 6]
    assert [one.message for one in refused if one.offset in (3, 6)] == [
        "its key is 'acme.com', its account is another one",
        "it has no key, which would say its account",
    ]
    assert rig.results[0].facts == 1
    assert [name for name in ("acme.com", "nobody.com", "\ufffd\ufffd") if rig.owned.cached(name)] == []


async def test_a_batch_that_is_not_decided_says_of_what_is_no_signal_that_it_is_none() -> None:
    one, two = signals(facts_of([funding(day(0)), hiring(day(1))]))
    rig = Rig(WEEK)
    await rig.take()
    done = await rig.set_aside(
        one, two._replace(value=b"broken"), RecordedMessage(2, day(1), None, one.value)
    )
    assert [one.reason for one in done.refused] == ["slow", "not-a-signal", "not-a-signal"]
    assert (done.facts, rig.owned.position.offset, rig.memory.accounts) == (1, 3, {})


@replaces_methods
async def test_a_rule_that_raises_sets_its_fact_aside_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply_facts = Engine.apply_facts

    def fail(engine: Engine, account: Any, facts: Any, *given: Any) -> Any:
        decision = apply_facts(engine, account, facts, *given)
        if any(fact.id == "poison" for fact in facts):
            raise ZeroDivisionError("a rule")  # when the account is half changed
        return decision

    monkeypatch.setattr(Engine, "apply_facts", fail)
    events = [
        company(1, day(0), id="good"),
        company(2, day(0), id="before"),
        company(2, day(0), id="poison"),
        company(2, day(1), id="behind"),
    ]
    records = signals(facts_of(events))
    rig = await run(Rig(WEEK), [records])
    assert [move[0] for move in rig.net] == ["company-1.com", "company-2.com"]
    assert {one.id for one in rig.state("company-2.com").entries} == {"before", "behind"}
    (letter,) = rig.published.to("dead-letters")
    headers = dict(letter.headers)
    assert letter.value == records[2].value
    assert headers["dl_reason"] == b"decision-failed"
    assert (headers["dl_topic"], headers["dl_offset"]) == (b"signals", b"2")
    assert b"ZeroDivisionError" in headers["dl_message"]
    assert rig.owned.position.offset == 4


async def test_a_change_that_cannot_be_put_into_words_sets_its_fact_aside_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = MessageFactory.change

    def fail(factory: MessageFactory, one: SegmentChange) -> Message:
        if one.account == "company-2.com":
            raise TypeError("Integer exceeds 64-bit range")
        return change(factory, one)

    monkeypatch.setattr(MessageFactory, "change", fail)
    events = [company(1, day(0), id="good"), company(2, day(0), id="poison"), company(3, day(0), id="behind")]
    rig = await run(Rig(WEEK), [signals(facts_of(events))])
    assert [move[0] for move in rig.net] == ["company-1.com", "company-3.com"]
    (letter,) = rig.published.to("dead-letters")
    assert dict(letter.headers)["dl_message"] == b"TypeError: Integer exceeds 64-bit range"
    assert rig.owned.position.offset == 3


@replaces_methods
async def test_an_account_that_cannot_be_decided_at_its_deadline_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    advance = Engine.advance

    def fail(engine: Engine, account: Any, *given: Any) -> Any:
        if account.name == "company-1.com":
            raise ZeroDivisionError("a rule")
        return advance(engine, account, *given)

    rig = await run(Rig(WEEK), [signals(facts_of([company(1, day(0)), company(2, day(0))]))])
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "advance", fail)
        await rig.feed(ticking(2, day(8)))
        await rig.settle()
    assert ("company-2.com", "in", "out", day(7)) in rig.net
    assert "company-1.com" in rig.owned.notices.messages[-1]
    assert rig.state("company-1.com").membership.segment == "in"
    await rig.feed(signal(3, facts_of([company(1, day(9), id="new")])[0]))
    assert rig.memory.deadlines == {"company-1.com": day(16)}


async def test_what_is_no_signal_is_set_aside() -> None:
    bad = RecordedMessage(1, day(1), b"acme.com", b'{"account": 5}', [("h", b"1")])
    records = [signals(facts_of([funding(day(0))]))[0], bad, RecordedMessage(2, day(2), None, None)]
    rig = await run(Rig(WEEK), [records])
    assert [one.reason for one in rig.results[0].refused] == ["not-a-signal"] * 2
    assert [one.value for one in rig.published.to("dead-letters")] == [b'{"account": 5}', None]
    assert ("h", b"1") in rig.published.messages[0].headers
    assert rig.owned.position.offset == 3


async def test_a_dead_letter_that_is_not_published_leaves_the_batch_undone() -> None:
    records = [*signals(facts_of([funding(day(0))])), RecordedMessage(1, day(1), None, b"x")]
    rig = Rig(WEEK)
    await rig.take()
    rig.published.failures = 1
    with pytest.raises(PublishFailed):
        await rig.feed(*records)
    assert not rig.memory.accounts
    with pytest.raises(OutOfStep):
        await rig.feed(*records)
    assert await rig.take() == 0
    await rig.feed(*records)
    assert rig.net == [("acme.com", None, "in", day(0))]


@pytest.mark.parametrize("breaks", [Fenced, RolledBack])
async def test_who_was_fenced_off_or_rolled_back_writes_nothing_and_keeps_nothing(breaks: type) -> None:
    one, two = signals(facts_of([funding(day(0), id="a"), hiring(day(1), id="b")]))
    rig = await run(Rig(segments(hired={"event": "hiring"}, in_=FUNDED)), [[one]])
    if breaks is Fenced:
        rig.memory.fence += 1
    else:
        empty = Memory(fence=rig.memory.fence, clock=rig.memory.clock)
        vars(rig.memory).update(vars(empty))
    before = dict(rig.memory.accounts)
    with pytest.raises(breaks):
        await rig.feed(two)
    assert rig.memory.accounts == before
    with pytest.raises(OutOfStep):
        await rig.feed(two)
    assert not rig.owned.outbox.entries

    start = await rig.take()
    await rig.feed(*[one, two][start:])
    assert rig.net[-1] == ("acme.com", "in", "hired", day(1))


@pytest.mark.parametrize("applied", [False, True])
async def test_after_a_commit_without_an_answer_the_partition_goes_on_without_double_changes(
    monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    records = signals(facts_of([funding(day(0)), company(2, day(1))]))
    rig = Rig(WEEK)
    await rig.take()
    commit = rig.store.commit

    async def lose_the_answer(given: Commit) -> Committed:
        if applied:
            await commit(given)
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "commit", lose_the_answer)
        with pytest.raises(StoreUnavailable):
            await rig.feed(*records)
    with pytest.raises(OutOfStep):
        await rig.feed(*records)
    assert await rig.take() == (1 if applied else 0)
    await rig.feed(*records[1 if applied else 0 :])
    await rig.deliver()
    assert len({one.value for one in rig.published.messages}) == len(rig.published.messages) == 2
    assert rig.memory.sizes == {"in": 2}


async def test_a_batch_of_before_the_partition_was_taken_again_is_not_set_aside() -> None:
    rig = Rig(WEEK)
    await rig.take()
    fence = rig.owned.fence
    await rig.take()
    with pytest.raises(OutOfStep, match="taken again"):
        await rig.set_aside(*signals(facts_of([funding(day(0))])), fence=fence)
    assert rig.published.messages == []


@replaces_methods
async def test_a_store_that_is_away_while_a_poison_is_sought_is_no_poison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(WEEK)
    await rig.take()
    reads = 0

    async def read(names: Any) -> list[bytes | None]:
        nonlocal reads
        reads += 1
        if reads > 1:
            raise StoreUnavailable("gone")
        return [None for _ in names]

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(rig.store, "read", read)
    monkeypatch.setattr(Engine, "apply_facts", fail)
    with pytest.raises(StoreUnavailable):
        await rig.feed(*signals(facts_of([funding(day(0))])))
    assert not rig.published.messages


async def test_the_same_decision_has_the_same_id_whoever_takes_it() -> None:
    records = signals(facts_of([funding(day(0), id="a"), hiring(day(9), id="b")]))
    one = await run(Rig(WEEK), [records, [ticking(2, day(20))]])
    two = await run(Rig(WEEK), [[each] for each in (*records, ticking(2, day(20)))])
    assert [c.id for c in one.changes] == [c.id for c in two.changes]


@replaces_methods
async def test_a_bad_fact_among_a_thousand_of_one_account_costs_few_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply_facts, applied = Engine.apply_facts, 0

    def fail(engine: Engine, account: Any, facts: Any, *given: Any) -> Any:
        nonlocal applied
        applied += len(facts)
        if any(fact.id in {"i300", "i301", "i900"} for fact in facts):
            raise ZeroDivisionError("a rule")
        return apply_facts(engine, account, facts, *given)

    monkeypatch.setattr(Engine, "apply_facts", fail)
    facts = facts_of([company(1, day(0) + n, id=f"i{n}") for n in range(1000)])
    rig = await run(Rig(WEEK), [signals(facts)])
    refused = [dict(one.headers)["dl_offset"] for one in rig.published.to("dead-letters")]
    assert refused == [b"300", b"301", b"900"]
    assert len(rig.state("company-1.com").entries) == 997
    assert applied < 6_000


@replaces_methods
async def test_facts_decided_apart_lead_to_what_they_lead_to_together() -> None:
    events = [funding(day(n), id=f"i{n}") for n in range(0, 60, 3)]
    together = await run(Rig(WEEK), [signals(facts_of(events))])
    records = signals(facts_of([*events[:10], funding(day(28), id="poison"), *events[10:]]))
    apart = Rig(WEEK)
    apply_facts = apart.engine.apply_facts

    def fail(account: Any, facts: Any, *given: Any) -> Any:
        if any(fact.id == "poison" for fact in facts):
            raise ZeroDivisionError("a rule")
        return apply_facts(account, facts, *given)

    apart.engine.apply_facts = fail  # type: ignore[method-assign]
    await run(apart, [records])
    assert apart.net == together.net
    assert apart.standing() == together.standing()
    assert apart.memory.deadlines == together.memory.deadlines
