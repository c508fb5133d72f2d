"""The log of a state that is never written knows a bound of what its facts would take."""

import random

import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import encoded_size
from resegment.schemas.logs.unwritten_log import UnwrittenLog
from resegment.schemas.state import AccountState
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.inspection.backtest import replay_account

SEGMENTS = b"""
version: 1
segments:
  - name: busy
    when: {event: intent, where: {topic: crm}, within: 30d, count: {gte: 3}}
    play: talk
    route: {workflow: busy}
fallback: {name: not-now, play: talk, route: {workflow: nurture}}
plays: {talk: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
"""
DAY = 86_400_000


def make_facts(seed: int, count: int) -> list[Fact]:
    draw = random.Random(seed)
    return [
        Fact(
            account="acme.com", kind="intent", id=f"{number}-{'i' * draw.randrange(200)}", source="s",
            record=f"r{draw.randrange(number + 1)}", time=number * DAY // 8, recorded=number * DAY // 8,
            op="retract" if draw.random() < 0.1 else "assert", data={"topic": draw.choice(("crm", "x" * 400))},
        )
        for number in range(count)
    ]  # fmt: skip


def test_the_size_is_never_below_that_of_the_facts() -> None:
    engine = Engine(Program(read_definition([("a.yaml", SEGMENTS)])))
    account = engine.open("acme.com")
    account.log = UnwrittenLog()
    for fact in make_facts(1, 300):
        engine.advance(account, fact.recorded - 1)
        engine.apply_facts(account, [fact], fact.recorded)
        assert account.log.size >= encoded_size(account.state.entries) - 5  # the header of the list


@pytest.mark.parametrize("limit", [3_000, 20_000, 1_000_000])
def test_an_account_that_is_never_written_takes_the_same_facts(limit: int) -> None:
    program = Program(read_definition([("a.yaml", SEGMENTS)]), Limits(account_bytes=limit))
    facts = make_facts(2, 300)
    written, changes = replay_account(Engine(program), "acme.com", facts)
    unwritten, others = replay_account(Engine(program), "acme.com", facts, unwritten=True)
    assert others == changes
    assert unwritten.state == written.state
    assert unwritten.refused == written.refused
    assert (written.refused is None) is (limit == 1_000_000)


def test_it_cannot_be_written() -> None:
    with pytest.raises(NotImplementedError):
        UnwrittenLog().write(AccountState())
