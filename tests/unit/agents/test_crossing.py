"""What a partition does at the marks of an apply, and at its instant."""

from __future__ import annotations

from typing import Any

from resegment.agents.batch import RecordedMessage
from resegment.agents.deciding.folding import changeover_of
from resegment.agents.deciding.marks import MARK
from resegment.agents.deciding.sweep import find_due_sweep, sweep
from resegment.schemas.definitions.marks import Mark, encode_mark
from resegment.schemas.definitions.records import (
    Applied,
    Apply,
    DefinitionRecord,
    Foreign,
    Prepare,
    Stands,
    Void,
    encode_definition_record,
)
from resegment.schemas.routing import DefinitionSwitched, decode_routing_event
from resegment.streams.definitions.announcing import Announcer
from resegment.streams.definitions.registry import DefinitionRegistry
from tests.builders import Rig, definition_of, facts_of, registry_of, signal, ticking
from tests.oracle.cases import event, only

ONE = only({"event": "funding", "within": "7d"})
TWO = only({"event": "funding", "within": "9d"})
REWORDED = {**TWO, "segments": [{**TWO["segments"][0], "description": "In other words"}]}
FACTS = facts_of(
    [event("funding", at, account=f"company-{at}.com", id=f"f{at}") for at in range(10, 400, 10)]
)


def mark(
    offset: int, at: int, step: Any, instant: int = 0, apply: str = "a", version: int = 2
) -> RecordedMessage:
    value = encode_mark(Mark(apply=apply, version=version, step=step, at=instant))
    return RecordedMessage(offset, at, None, value, [(MARK, b"")])


def tell(registry: DefinitionRegistry, *records: DefinitionRecord) -> None:
    registry.take([encode_definition_record(one) for one in records])


async def started(*records: DefinitionRecord) -> tuple[Rig, DefinitionRegistry]:
    """A partition whose clock is at 10, with both versions known."""
    registry = registry_of(definition_of(ONE), definition_of(TWO), definition_of(REWORDED))
    tell(registry, Prepare(apply="a", version=2, base=1, at=1), *records)
    rig = Rig(ONE)
    rig.versions = rig.owned.codec = registry
    rig.factory = Announcer(registry)  # type: ignore[assignment]
    await rig.take()
    await rig.feed(signal(0, FACTS[0]))
    return rig, registry


SWITCH = Apply(id="a", version=2, base=1, at=100)


async def test_a_mark_before_its_instant_is_kept_with_the_position_and_one_after_it_is_late() -> None:
    rig, _ = await started(SWITCH)
    await rig.feed(mark(1, 50, "switch", 100))
    pending = changeover_of(rig.owned.position).pending
    assert pending is not None
    assert (pending.apply, pending.at) == ("a", 100)
    await rig.take()
    assert changeover_of(rig.owned.position).pending == pending

    late, _ = await started(SWITCH)
    await late.feed(ticking(1, 100), mark(2, 100, "switch", 100))
    assert (changeover_of(late.owned.position).pending, changeover_of(late.owned.position).late) == (
        None,
        "a",
    )


async def test_a_partition_reads_up_to_the_instant_and_waits_for_the_word_there() -> None:
    rig, registry = await started(SWITCH)
    batch = [mark(1, 50, "switch", 100), signal(2, FACTS[8]), signal(3, FACTS[9]), signal(4, FACTS[10])]
    done = await rig.feed(*batch)
    assert (done.waits_for, rig.owned.position.offset, rig.owned.position.clock) == ("a", 3, 90)
    assert (await rig.feed(*batch[1:])).waits_for == "a"

    tell(registry, Stands(apply="a"))
    assert (await rig.feed(*batch[2:])).waits_for is None
    changeover = changeover_of(rig.owned.position)
    assert (changeover.pending, changeover.version, rig.owned.position.offset) == (None, 2, 5)
    await rig.deliver()
    told = [one for one in rig.published.messages if one.topic == "routing-events" and one.key is None]
    assert [(one.partition, decode_routing_event(one.value or b"")) for one in told] == [
        (0, DefinitionSwitched(at=100, version=2, apply="a", fingerprint=definition_of(TWO).version))
    ]


async def test_a_void_switch_leaves_nothing_behind_whether_the_word_or_the_mark_comes_first() -> None:
    rig, registry = await started(SWITCH)
    await rig.feed(mark(1, 50, "prepare"), mark(2, 50, "switch", 100))
    tell(registry, Void(apply="a", reason="late"))
    assert (await rig.feed(signal(3, FACTS[12]))).waits_for is None
    changeover = changeover_of(rig.owned.position)
    assert (changeover.pending, changeover.preparing, changeover.version) == (None, None, 0)

    marked, _ = await started(SWITCH)
    await marked.feed(mark(1, 50, "prepare"), mark(2, 50, "switch", 100), mark(3, 60, "void"))
    assert changeover_of(marked.owned.position).pending is None


async def test_a_mark_that_calls_a_switch_void_which_stands_takes_nothing_back() -> None:
    rig, _ = await started(SWITCH, Stands(apply="a"))
    await rig.feed(mark(1, 50, "switch", 100), mark(2, 60, "void"), ticking(3, 100))
    assert changeover_of(rig.owned.position).version == 2


async def test_a_prepare_mark_waits_until_its_version_is_known() -> None:
    registry = registry_of(definition_of(ONE), definition_of(TWO))
    rig = Rig(ONE)
    rig.versions = rig.owned.codec = registry
    await rig.take()
    assert (await rig.feed(signal(0, FACTS[0]), mark(1, 50, "prepare"))).waits_for == "a"
    assert rig.owned.position.offset == 1
    tell(registry, Prepare(apply="a", version=2, base=1, at=1))
    assert (await rig.feed(mark(1, 50, "prepare"))).waits_for is None
    preparing = changeover_of(rig.owned.position)
    assert (preparing.preparing is not None, preparing.offset, preparing.ready) == (True, 1, False)


async def test_marks_of_a_stranger_are_passed_over() -> None:
    rig, registry = await started()
    batch = [mark(1, 20, step, 50, apply="stranger") for step in ("prepare", "switch")]
    assert (await rig.feed(*batch)).waits_for == "stranger"
    tell(registry, Foreign(apply="stranger"))
    assert (await rig.feed(*batch, signal(2, FACTS[8]))).waits_for is None
    changeover = changeover_of(rig.owned.position)
    assert (changeover.preparing, changeover.pending, rig.owned.position.clock) == (None, None, 90)
    long = mark(3, 95, "prepare", apply="x" * 100_000)
    assert (await rig.feed(long, signal(4, FACTS[9]))).waits_for is None
    assert rig.owned.position.offset == 5


async def test_a_worker_whose_store_lost_what_was_folded_in_waits_until_it_is_folded_in_again() -> None:
    rig, registry = await started(SWITCH, Stands(apply="a"))
    registry.folds_in = True
    await rig.feed(mark(1, 50, "prepare"), mark(2, 50, "switch", 100))
    assert (await rig.feed(signal(3, FACTS[12]))).waits_for == "a"
    registry.folds_in = False  # as a replay, which keeps all from its beginning
    assert (await rig.feed(signal(3, FACTS[12]))).waits_for is None


async def test_texts_that_follow_a_switch_in_one_batch_leave_its_accounts_to_be_judged() -> None:
    rig, registry = await started(SWITCH, Stands(apply="a"), Applied(apply="a"))
    claim = Prepare(apply="b", version=3, base=2, at=1)
    reworded = Apply(id="b", version=3, base=2, at=120, judges=False)
    tell(registry, claim, reworded, Stands(apply="b"))
    await rig.feed(
        mark(1, 50, "switch", 100),
        ticking(2, 100),
        mark(3, 105, "switch", 120, apply="b", version=3),
        ticking(4, 120),
    )
    position = rig.owned.position
    assert (changeover_of(position).version, changeover_of(position).worked_off) == (3, 0)
    assert find_due_sweep(position, registry.timeline) == 3
    await sweep(rig.owned, registry, 0, 3, factory=None)
    assert changeover_of(rig.owned.position).worked_off == 3
    assert find_due_sweep(rig.owned.position, registry.timeline) is None
    (account,) = (await rig.owned.accounts([FACTS[0].account])).values()
    assert account.state.version == 3


async def test_what_is_no_mark_is_passed_over() -> None:
    rig, _ = await started(SWITCH)
    await rig.feed(RecordedMessage(1, 50, None, b"{", [(MARK, b"")]), signal(2, FACTS[8]))
    assert rig.owned.position.offset == 3
    assert rig.published.messages == []
