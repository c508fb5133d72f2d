"""The bytes that the facts of one account take at most: what is refused, and that the account stays as it was."""

from __future__ import annotations

import random

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.schemas.logs.state_log import encoded_size
from resegment.segmentation.evaluation.program import Limits
from tests.builders import Json, Rig, facts_of, run, signals
from tests.oracle.cases import day, event, intent

FILE: Json = {
    "version": 1,
    "traits": {"titles": {"distinct": "hiring", "field": "title", "within": "30d"}},
    "suppression": ["customers"],
    "plays": {"one": {"message": {"pain": "p", "value_prop": "v", "proof_points": ["p"]},
                      "channels": {"primary": "email"}}},
    "segments": [{"name": "many", "when": {"titles": {"gte": 3}}, "play": "one", "route": {"workflow": "m"}}],
    "fallback": {"name": "few", "play": "one", "route": {"workflow": "f"}},
}  # fmt: skip
LIMITS = Limits(account_bytes=1_500)


def job(at: int, number: int, size: int = 400, **given: Json) -> Json:
    return event("hiring", at, title=f"{number}" + "x" * size, id=f"j{number}", **given)


def reasons(rig: Rig) -> list[tuple[str, int | None]]:
    return [(one.reason, one.offset) for done in rig.results for one in done.refused]


async def test_a_fact_beyond_the_limit_is_a_dead_letter_and_the_account_stays_as_it_was() -> None:
    records = signals(facts_of([job(day(number), number) for number in range(5)]))
    rig = await run(Rig(FILE, limits=LIMITS), [[one] for one in records])
    few = await run(Rig(FILE, limits=LIMITS), [[one] for one in records[:3]])
    assert reasons(rig) == [("account-too-large", 3), ("account-too-large", 4)]
    letters = rig.published.to("dead-letters")
    assert [one.value for one in letters] == [one.value for one in records[3:]]
    assert b"facts of acme.com" in dict(letters[0].headers)["dl_message"]
    assert rig.standing() == few.standing()
    assert rig.state("acme.com").membership.segment == "many"


async def test_other_facts_of_the_batch_and_other_accounts_are_decided() -> None:
    events = [job(day(0), number) for number in range(4)]
    events += [job(day(0), 8, account="other.com"), job(day(0), 9, size=10)]
    rig = await run(Rig(FILE, limits=LIMITS), [signals(facts_of(events))])
    assert reasons(rig) == [("account-too-large", 3)]
    assert [len(rig.state(name).entries) for name in ("acme.com", "other.com")] == [4, 1]


async def test_a_refused_outcome_is_not_announced() -> None:
    limits = Limits(account_bytes=10)
    won = event("outcome", day(0), action="won")
    rig = await run(Rig(FILE, limits=limits), [signals(facts_of([won, intent(day(1))]))])
    assert [reason for reason, _ in reasons(rig)] == ["account-too-large"] * 2
    await rig.deliver()
    assert not rig.published.to("routing-events")


async def test_an_account_that_is_full_takes_a_revision_that_is_no_larger() -> None:
    events = [job(day(0), number, record=f"r{number}") for number in range(3)]
    again = job(day(1), 7, size=300, record="r1")
    rig = await run(
        Rig(FILE, limits=LIMITS), [signals(facts_of(events)), signals(facts_of([again]), first=3)]
    )
    assert reasons(rig) == []
    assert len(rig.state("acme.com").entries) == 3


async def test_a_full_account_takes_facts_again_when_no_test_counts_the_old_ones() -> None:
    events = [job(day(0), number) for number in range(4)] + [job(day(400), 9)]
    rig = await run(Rig(FILE, limits=LIMITS), [[one] for one in signals(facts_of(events))])
    assert reasons(rig) == [("account-too-large", 3)]
    assert [one.id for one in rig.state("acme.com").entries][-1:] == ["j9"]


@pytest.mark.parametrize("seed", range(10))
async def test_what_is_refused_does_not_depend_on_batches_or_on_what_is_in_memory(seed: int) -> None:
    draw = random.Random(seed)
    records: list[RecordedMessage] = signals(
        facts_of(
            [
                job(day(number // 3), number, draw.randint(1, 500), record=f"r{draw.randrange(40)}")
                for number in range(40)
            ]
        )
    )
    apart = await run(Rig(FILE, limits=LIMITS, cache_bytes=0), [[one] for one in records])
    sizes = [draw.randint(1, 9) for _ in records]
    batches = [records[sum(sizes[:n]) : sum(sizes[: n + 1])] for n in range(len(sizes))]
    together = await run(Rig(FILE, limits=LIMITS), [one for one in batches if one])
    assert reasons(apart) == reasons(together) != []
    assert apart.standing() == together.standing()
    entries = together.state("acme.com").entries
    assert encoded_size(entries) - 3 <= LIMITS.account_bytes
