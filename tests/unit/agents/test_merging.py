"""Merges and unmerges, carried out while events arrive, against an evaluation from scratch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from resegment.agents.batch import Batch
from resegment.agents.deciding.merging import FoldedFacts
from resegment.agents.deciding.refolding import refold
from resegment.identity.domains import registrable_domain
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.identities.records import Merge, Unmerge
from resegment.segmentation.versions.timeline import fold_into
from tests.builders import Rig, facts_of
from tests.merging import Prefix
from tests.oracle.cases import day, funding, hiring, segments, snapshot
from tests.oracle.generate import generate
from tests.oracle.naive import membership, moment_of
from tests.oracle.naive.identity import Wish, as_identified, part_of

DAY = 86_400_000
FILE = segments(
    both={"all": [{"event": "funding"}, {"event": "hiring"}]},
    funded={"event": "funding"},
    hiring={"event": "hiring"},
)


def without_hold(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "segments": [{k: v for k, v in s.items() if k != "hold"} for s in file["segments"]]}


async def prefix_of(*events: dict[str, Any], partitions: int = 3) -> Prefix:
    prefix = await Prefix(FILE, partitions).take()
    for fact in facts_of(events):
        prefix.send(fact)
    await prefix.settle()
    return prefix


async def merge(prefix: Prefix, alias: str, account: str) -> None:
    prefix.wish(Merge(alias=alias, account=account, at=prefix.clock + 1))
    await prefix.carry_out_all()


async def unmerge(prefix: Prefix, alias: str) -> None:
    prefix.wish(Unmerge(alias=alias, at=prefix.clock + 1))
    await prefix.carry_out_all()


def changes_of(prefix: Prefix, account: str) -> list[Any]:
    return [one for rig in prefix.rigs for one in rig.changes if one.account == account]


async def test_a_merge_ends_the_alias_and_gives_its_facts_to_the_account() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.io"), hiring(day(1), account="acme.com"))
    await merge(prefix, "acme.io", "acme.com")
    assert (prefix.segment("acme.io"), prefix.segment("acme.com")) == (None, "both")
    ended = changes_of(prefix, "acme.io")[-1]
    assert (ended.from_, ended.to, ended.cause.merged) == ("funded", None, "acme.com")
    joined = changes_of(prefix, "acme.com")[-1]
    assert (joined.from_, joined.to, joined.cause.merged) == ("hiring", "both", "acme.io")
    assert [sum(rig.memory.sizes.get(name, 0) for rig in prefix.rigs) for name in ("funded", "both")] == [
        0,
        1,
    ]


async def test_facts_that_come_later_for_the_alias_go_to_the_account() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.io"), snapshot(day(0), account="acme.com"))
    await merge(prefix, "acme.io", "acme.com")
    prefix.send(facts_of([hiring(day(2), account="acme.io")])[0])
    await prefix.settle()
    assert (prefix.segment("acme.io"), prefix.segment("acme.com")) == (None, "both")


async def test_a_fact_that_arrives_under_both_names_counts_once_and_is_retracted_under_either() -> None:
    sent = funding(day(0), account="acme.io", id="f-1")
    prefix = await prefix_of(sent, snapshot(day(0), account="acme.com"))
    await merge(prefix, "acme.io", "acme.com")
    prefix.send(facts_of([{**sent, "subject": "acme.com"}])[0])
    await prefix.settle()
    state = prefix.state("acme.com")
    assert state is not None
    assert [one.id for one in state.entries].count("f-1") == 1
    retracted = {**sent, "subject": "acme.com", "id": "f-2", "record": "f-1", "op": "retract"}
    prefix.send(facts_of([{**retracted, "recordedtime": "2030-01-01T00:00:00Z"}])[0])
    await prefix.settle()
    assert prefix.segment("acme.com") not in ("funded", "both")


async def test_an_unmerge_gives_the_facts_back_and_past_changes_stand() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.io"), hiring(day(1), account="acme.com"))
    await merge(prefix, "acme.io", "acme.com")
    prefix.send(facts_of([hiring(day(2), account="acme.io")])[0])
    await prefix.settle()
    before = list(changes_of(prefix, "acme.com"))
    await unmerge(prefix, "acme.io")
    assert (prefix.segment("acme.io"), prefix.segment("acme.com")) == ("both", "hiring")
    assert changes_of(prefix, "acme.com")[: len(before)] == before
    assert changes_of(prefix, "acme.com")[-1].cause.unmerged == "acme.io"
    assert [one.sequence_number for one in changes_of(prefix, "acme.io")] == [1, 2, 3]


async def test_a_merge_into_a_new_name_renames_the_account_and_an_unmerge_ends_the_new_name() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.io"))
    await merge(prefix, "acme.io", "acme.com")
    assert (prefix.segment("acme.io"), prefix.segment("acme.com")) == (None, "funded")
    await unmerge(prefix, "acme.io")
    assert (prefix.segment("acme.io"), prefix.segment("acme.com")) == ("funded", None)
    assert changes_of(prefix, "acme.com")[-1].cause.unmerged == "acme.io"


async def test_merges_form_chains_and_one_link_can_be_undone() -> None:
    prefix = await prefix_of(
        funding(day(0), account="a.com"), hiring(day(1), account="b.com"), snapshot(day(1), account="c.com")
    )
    await merge(prefix, "a.com", "b.com")
    await merge(prefix, "b.com", "c.com")
    assert [prefix.segment(name) for name in ("a.com", "b.com", "c.com")] == [None, None, "both"]
    await unmerge(prefix, "a.com")
    assert [prefix.segment(name) for name in ("a.com", "b.com", "c.com")] == ["funded", None, "hiring"]


async def test_a_merge_that_would_lead_in_a_circle_counts_for_nothing() -> None:
    prefix = await prefix_of(funding(day(0), account="a.com"), hiring(day(1), account="b.com"))
    await merge(prefix, "a.com", "b.com")
    await merge(prefix, "b.com", "a.com")
    assert "circle" in prefix.identities.refused[prefix.identities.taken]
    assert [prefix.segment(name) for name in ("a.com", "b.com")] == [None, "both"]


async def test_a_merge_that_is_carried_out_again_changes_nothing() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.io"), hiring(day(1), account="acme.com"))
    await merge(prefix, "acme.io", "acme.com")
    states = [dict(rig.memory.accounts) for rig in prefix.rigs]
    prefix.identities.settled.clear()
    await prefix.carry_out_all()
    assert [dict(rig.memory.accounts) for rig in prefix.rigs] == states


def history_of(seed: int) -> tuple[Prefix, dict[str, Any], list[dict[str, Any]], random.Random]:
    draw = random.Random(seed)
    file, events = generate(seed)
    file = without_hold(file)
    names = ["acme.com", "acme.io", "acme.de", "other.com"]
    given = {name: draw.choice(names) for name in dict.fromkeys(event["subject"] for event in events)}
    # some accounts get all events of a generated one, others every second
    events = [
        {**event, "subject": given[event["subject"]] if draw.random() < 0.7 else draw.choice(names)}
        for event in events
    ]
    unique: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:  # one id stands for one fact, whatever its account
        unique.setdefault((event["source"], event["id"]), event)
    prefix = Prefix(file, draw.choice([1, 2, 3]), seed)
    return prefix, file, list(unique.values()), draw


NAMES = ["acme.com", "acme.io", "acme.de", "other.com"]


async def live(
    seed: int, *, kills: float = 0.0
) -> tuple[Prefix, dict[str, Any], list[dict[str, Any]], list[Wish]]:
    """Carry out random merges among random events; return the prefix with its file, events and merges."""
    prefix, file, events, draw = history_of(seed)
    await prefix.take()
    facts = sorted(facts_of(events), key=lambda one: one.recorded)
    prefix.traffic, prefix.kills, prefix.pace = list(facts), kills, draw.choice([0.0, 0.3, 0.8])
    wishes: list[Wish] = []
    for number in range(draw.randint(1, 6)):
        for _ in range(draw.randint(0, max(1, len(facts) // 3))):
            prefix.send_next()
        alias, account = draw.sample(NAMES, k=2)
        if draw.random() < 0.4:
            prefix.wish(Unmerge(alias=alias, at=prefix.clock))
            wishes.append(Wish(number, alias))
        else:
            prefix.wish(Merge(alias=alias, account=account, at=prefix.clock))
            wishes.append(Wish(number, alias, account))
        if draw.random() < 0.6:
            await prefix.carry_out_all()
    while prefix.traffic:
        prefix.send_next()
    await prefix.carry_out_all()
    return prefix, file, events, wishes


async def compare(seed: int, *, kills: float = 0.0) -> int:
    """Compare each account with an evaluation from scratch; return how many were compared."""
    prefix, file, events, wishes = await live(seed, kills=kills)
    end = prefix.clock + 5 * DAY
    await prefix.settle(end)
    known = as_identified(wishes, events, 99)
    seen = {registrable_domain(event["subject"]) for event in known}
    for name in NAMES:
        wanted = membership(moment_of(file, known, name, end)) if name in seen else None
        assert prefix.segment(name) == wanted, (seed, name, part_of(wishes, name, 99))
    return len(NAMES)


@pytest.mark.parametrize("seed", range(200, 212))
async def test_facts_that_are_folded_in_from_the_log_are_those_that_accounts_have(seed: int) -> None:
    prefix, _, _, _ = await live(seed)
    for rig, log in zip(prefix.rigs, prefix.logs, strict=True):
        folded, clock, known = FoldedFacts(), 0, dict[str, list[tuple[int, list[Fact]]]]()
        for record in log:
            clock = max(clock, record.timestamp)
            if (fact := folded.take(record, clock)) is not None:
                known.setdefault(fact.account, []).append((clock, [fact]))
        for name, at, fact in folded.rest():
            known.setdefault(name, []).append((at, [fact]))
        for name, state in rig.states().items():
            facts = [] if name in folded.closed else known.get(name, [])
            expected = fold_into(rig.engine, name, None, facts)
            have = {(one.source, one.id) for one in state.entries}
            assert {(one.source, one.id) for one in expected.entries} <= have, (seed, name)
            if state.membership.segment is None:
                assert expected.entries == state.entries == []
                continue
            account, program = rig.engine.open(name, expected), rig.engine.program
            rig.engine.evaluate(account, clock)
            assert program.segments[program.first(account.values)].name == state.membership.segment


@pytest.mark.parametrize("seed", range(300, 308))
async def test_a_replay_of_each_partition_comes_to_the_same_states_and_passes_the_same_facts_on(
    seed: int,
) -> None:
    prefix, file, _, _ = await live(seed)
    for number, log in enumerate(prefix.logs):
        rig = Rig(file)
        await rig.take()
        passed: list[Fact] = []
        for start in range(0, len(log), 7):
            batch = Batch("signals", 0, log[start : start + 7])
            passed += await refold(batch, rig.owned, rig.versions)
        assert rig.standing() == prefix.rigs[number].standing()
        sent = [
            one
            for other in prefix.logs
            for record in other
            if record.key is not None and (one := decode_fact(record.value or b"")).via
        ]
        assert all(one in sent for one in passed)


@pytest.mark.parametrize("seed", range(40))
async def test_random_merges_and_unmerges_come_to_what_an_evaluation_from_scratch_gives(seed: int) -> None:
    await compare(seed)


@pytest.mark.parametrize("seed", range(100, 125))
async def test_merges_that_are_killed_and_begun_again_come_to_the_same(seed: int) -> None:
    await compare(seed, kills=0.15)
