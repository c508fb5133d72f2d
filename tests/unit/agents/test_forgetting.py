"""Forget accounts and persons, while events arrive, and undo it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.deciding.refolding import refold
from resegment.identity.merges import Operation
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.identities.records import Forget, IdentityRecord, Lift, Merge
from resegment.schemas.identities.steps import Step, encode_step
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.privacy.fields import normalize_person
from resegment.schemas.routing import GatesChanged, decode_routing_event
from resegment.schemas.state import Membership
from resegment.segmentation.versions.comparison import Comparison
from resegment.state.keys.keyring import Keyring
from resegment.streams.forgetting.forgetting import destroy_keys
from resegment.streams.forgetting.requests import name_persons
from tests.builders import Rig, facts_of, one_version
from tests.merging import Prefix
from tests.oracle.cases import day, funding, hiring, segments, snapshot
from tests.oracle.generate import generate
from tests.sealing import new_keyring, seal_all, with_persons

FILE = segments(
    both={"all": [{"event": "funding"}, {"event": "hiring"}]},
    funded={"event": "funding"},
    hiring={"event": "hiring"},
)
NAMES = ("acme.com", "b.com", "c.com", "d.com")


async def prefix_of(*events: dict[str, Any]) -> Prefix:
    prefix = await Prefix(FILE, 3).take()
    send(prefix, *events)
    await prefix.settle()
    return prefix


def send(prefix: Prefix, *events: dict[str, Any]) -> None:
    for fact in facts_of(events):
        prefix.send(fact)


async def ask(prefix: Prefix, record: IdentityRecord) -> None:
    prefix.wish(record)
    await prefix.carry_out_all()


async def forget(prefix: Prefix, account: str, *persons: str) -> None:
    await ask(prefix, Forget(account=account, at=prefix.clock + 1, persons=persons))


async def lift(prefix: Prefix, account: str) -> None:
    await ask(prefix, Lift(account=account, at=prefix.clock + 1))


def changes_of(prefix: Prefix, account: str) -> list[Any]:
    return [one for rig in prefix.rigs for one in rig.changes if one.account == account]


async def test_a_forgotten_account_ends_by_a_change_to_null_and_nothing_of_it_stays() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"), hiring(day(1), account="b.com"))
    await forget(prefix, "acme.com")
    state = prefix.state("acme.com")
    assert state is not None
    assert (state.entries, state.membership, state.deadline) == ([], Membership(), None)
    assert (state.do_not_contact, state.active_gates, state.parent) == ((), (), None)
    ended = changes_of(prefix, "acme.com")[-1]
    assert (ended.from_, ended.to, ended.cause.forgotten) == ("funded", None, "account")
    assert prefix.segment("b.com") == "hiring"


async def test_facts_that_come_again_late_or_dated_ahead_change_nothing() -> None:
    sent = funding(day(0), account="acme.com", id="f-1")
    prefix = await prefix_of(sent)
    await forget(prefix, "acme.com")
    before = len(changes_of(prefix, "acme.com"))
    send(prefix, sent, hiring(day(-300), account="acme.com"), hiring(day(400), account="acme.com"))
    await prefix.settle(prefix.clock + 500 * 86_400_000)
    assert len(changes_of(prefix, "acme.com")) == before
    state = prefix.state("acme.com")
    assert state is not None
    assert state.entries == []


async def test_an_unknown_account_can_be_forgotten_and_never_comes() -> None:
    prefix = await prefix_of(funding(day(0), account="b.com"))
    await forget(prefix, "acme.com")
    send(prefix, funding(day(1), account="acme.com"))
    await prefix.settle()
    assert prefix.segment("acme.com") is None
    assert changes_of(prefix, "acme.com") == []


async def test_after_the_undo_only_new_facts_count() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"))
    await forget(prefix, "acme.com")
    send(prefix, funding(day(1), account="acme.com"))
    await lift(prefix, "acme.com")
    assert prefix.segment("acme.com") is None
    send(prefix, hiring(day(2), account="acme.com"))
    await prefix.settle()
    assert prefix.segment("acme.com") == "hiring"
    assert [one.sequence_number for one in changes_of(prefix, "acme.com")] == [1, 2, 3]


async def test_an_account_can_be_forgotten_again_after_an_undo() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"))
    for _ in range(2):
        await forget(prefix, "acme.com")
        await lift(prefix, "acme.com")
        send(prefix, hiring(prefix.clock and day(3), account="acme.com"))
        await prefix.settle()
        assert prefix.segment("acme.com") == "hiring"
    await forget(prefix, "acme.com")
    assert prefix.segment("acme.com") is None


async def test_a_second_forget_is_refused_and_an_alias_is_forgotten_with_its_account() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"), hiring(day(1), account="b.com"))
    await ask(prefix, Merge(alias="acme.com", account="b.com", at=prefix.clock + 1))
    await forget(prefix, "acme.com")
    assert "`resegment forget b.com` forgets both" in prefix.identities.refused[prefix.identities.taken]
    await forget(prefix, "b.com")
    assert set(prefix.identities.forgotten) == {"acme.com", "b.com"}
    await forget(prefix, "b.com")
    assert prefix.identities.refused[prefix.identities.taken] == "b.com is forgotten already"
    send(prefix, funding(day(2), account="acme.com"), hiring(day(2), account="b.com"))
    await prefix.settle()
    assert (prefix.segment("acme.com"), prefix.segment("b.com")) == (None, None)
    await lift(prefix, "b.com")
    send(prefix, funding(day(3), account="acme.com"))
    await prefix.settle()
    assert (prefix.segment("acme.com"), prefix.segment("b.com")) == (None, "funded")


async def test_a_merge_after_the_undo_gives_the_account_no_forgotten_fact() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"), snapshot(day(0), account="b.com"))
    await forget(prefix, "acme.com")
    await lift(prefix, "acme.com")
    send(prefix, hiring(day(2), account="acme.com"))
    await ask(prefix, Merge(alias="acme.com", account="b.com", at=prefix.clock + 1))
    assert prefix.segment("b.com") == "hiring"


async def test_the_undo_of_one_spelling_lifts_all_that_were_forgotten_with_it() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"))
    await forget(prefix, "acme.com", "ann lee", "ann@acme.com")
    await forget(prefix, "acme.com", "bo")
    await ask(prefix, Lift(account="acme.com", at=prefix.clock + 1, persons=("ann@acme.com",)))
    assert set(prefix.identities.forgotten_persons["acme.com"]) == {"bo"}
    lifted = prefix.identities.operations[max(prefix.identities.operations)]
    assert set(lifted.persons) == {"ann lee", "ann@acme.com"}
    await ask(prefix, Lift(account="acme.com", at=prefix.clock + 1, persons=("ann@acme.com",)))
    assert prefix.identities.refused[prefix.identities.taken] == "the person is not forgotten"


async def test_nothing_is_merged_with_a_forgotten_account() -> None:
    prefix = await prefix_of(funding(day(0), account="acme.com"), hiring(day(1), account="b.com"))
    await forget(prefix, "acme.com")
    for alias, account in (("acme.com", "b.com"), ("b.com", "acme.com")):
        await ask(prefix, Merge(alias=alias, account=account, at=prefix.clock + 1))
        assert "acme.com is forgotten" in prefix.identities.refused[prefix.identities.taken]


async def test_outcomes_of_the_same_batch_are_not_told_after_the_account_is_forgotten() -> None:
    rig = Rig(FILE)
    await rig.take()
    said = {"action": "positive_reply", "person": "Ann"}
    outcome = {**funding(day(0), account="acme.com"), "type": "gtm.outcome.v1", "data": said}
    facts = facts_of([funding(day(0), account="acme.com"), outcome])
    step = encode_step(Step(step="forget", op=1, account="acme.com"))
    await rig.feed(
        *(
            RecordedMessage(place, one.recorded, b"acme.com", encode_fact(one))
            for place, one in enumerate(facts)
        ),
        RecordedMessage(len(facts), facts[-1].recorded, None, step, [("identity", b"")]),
    )
    await rig.deliver()
    told = [decode_routing_event(one.value or b"") for one in rig.published.to("routing-events")]
    assert [type(one) for one in told] == [Forgotten]


class WithPersons(Prefix):
    """A prefix with keys: facts of persons whose keys are destroyed are absent from its log."""

    async def facts(self, account: str, upto: int) -> Sequence[Fact]:
        gone = self.identities.forgotten_persons.get(account, {})
        return [one for one in await super().facts(account, upto) if one.data.get("person") not in gone]


def hired(at: str, person: str, account: str = "acme.com") -> dict[str, Any]:
    one = hiring(at, account=account)
    return {**one, "data": {**one["data"], "person": person}}


async def test_what_rests_on_facts_of_a_forgotten_person_is_decided_again_without_them() -> None:
    prefix = await WithPersons(FILE, 3).take()
    send(prefix, funding(day(0), account="acme.com"), hired(day(1), "Ann Lee"))
    await prefix.settle()
    assert prefix.segment("acme.com") == "both"
    await forget(prefix, "acme.com", "Ann Lee")
    assert prefix.segment("acme.com") == "funded"
    last = changes_of(prefix, "acme.com")[-1]
    assert (last.from_, last.to, last.cause.forgotten, last.sequence_number) == (
        "both",
        "funded",
        "person",
        3,
    )


async def test_an_account_of_which_only_a_forgotten_person_was_known_ends() -> None:
    prefix = await WithPersons(FILE, 3).take()
    send(prefix, hired(day(1), "Ann Lee"))
    await prefix.settle()
    await forget(prefix, "acme.com", "Ann Lee")
    last = changes_of(prefix, "acme.com")[-1]
    assert (last.from_, last.to, last.cause.forgotten) == ("hiring", None, "person")


async def test_nothing_is_announced_where_a_forgotten_person_changes_no_segment() -> None:
    prefix = await WithPersons(FILE, 3).take()
    send(prefix, hiring(day(0), account="acme.com"), hired(day(1), "Ann Lee"))
    await prefix.settle()
    before = len(changes_of(prefix, "acme.com"))
    entered = prefix.state("acme.com").membership  # type: ignore[union-attr]
    await forget(prefix, "acme.com", "Ann Lee")
    assert len(changes_of(prefix, "acme.com")) == before
    state = prefix.state("acme.com")
    assert state is not None
    assert (state.membership, len(state.entries)) == (entered, 1)
    assert state.do_not_contact == ()


async def test_who_not_to_contact_is_told_again_because_messages_that_told_it_cannot_be_opened_any_more() -> (
    None
):
    prefix = await WithPersons(FILE, 3).take()
    said = {"action": "unsubscribed", "person": "Bo Ek"}
    outcome = {**funding(day(0), account="acme.com"), "id": "o", "type": "gtm.outcome.v1", "data": said}
    send(prefix, hiring(day(0), account="acme.com"), outcome, hired(day(1), "Ann Lee"))
    await prefix.settle()
    known = prefix.state("acme.com").do_not_contact  # type: ignore[union-attr]
    assert known == ("Bo Ek",)
    before = len(told_restrictions(prefix))
    await forget(prefix, "acme.com", "Ann Lee")
    assert told_restrictions(prefix)[before:] == [known]
    assert prefix.state("acme.com").do_not_contact == known  # type: ignore[union-attr]


def told_restrictions(prefix: Prefix) -> list[tuple[str, ...]]:
    events = [decode_routing_event(one.value or b"") for one in prefix.told]
    return [one.do_not_contact for one in events if isinstance(one, GatesChanged)]


def _events(seed: int) -> tuple[dict[str, Any], list[Fact]]:
    file, events = generate(seed)
    facts = facts_of(events)
    draw = random.Random(seed)
    return file, [
        fact
        if draw.random() < 0.5
        else Fact(
            **{
                **{name: getattr(fact, name) for name in fact.__struct_fields__},
                "data": {**fact.data, "person": draw.choice(("Ann", "Bo"))},
            }
        )
        for fact in sorted(facts, key=lambda one: one.recorded)
    ]


@pytest.mark.parametrize("seed", range(20))
async def test_accounts_that_are_forgotten_amid_events_are_absent_and_others_are_as_without_them(
    seed: int,
) -> None:
    file, facts = _events(seed)
    draw = random.Random(seed)
    names = sorted({one.account for one in facts})
    gone = set(draw.sample(names, max(1, len(names) // 3)))
    prefix = await Prefix(file, 2, seed, facts).take()
    prefix.pace, prefix.kills = 0.3, 0.15 if seed % 2 else 0.0
    for _ in range(len(facts) // 2):
        prefix.send_next()
    for name in sorted(gone):
        prefix.wish(Forget(account=name, at=prefix.clock + 1))
    await prefix.carry_out_all()
    while prefix.traffic:
        prefix.send_next()
    prefix.pace = 0.0
    end = max(one.recorded for one in facts) + 86_400_000
    await prefix.settle(end)
    alone = await Prefix(file, 2, seed).take()
    for fact in facts:
        if fact.account not in gone:
            alone.send(fact)
    await alone.settle(end)
    for name in names:
        state, other = prefix.state(name), alone.state(name)
        assert state is not None
        if name in gone:
            assert (state.entries, state.membership, state.deadline) == ([], Membership(), None)
        elif other is not None:
            assert state.membership.segment == other.membership.segment, (seed, name)
            assert {one.id for one in state.entries} == {one.id for one in other.entries}


@pytest.mark.parametrize("seed", range(100, 112))
async def test_a_replay_without_what_is_forgotten_comes_to_the_same_states(seed: int) -> None:
    file, facts = _events(seed)
    draw = random.Random(seed)
    names = sorted({one.account for one in facts})
    account, other = draw.choice(names), draw.choice(names)
    prefix = await WithPersons(file, 2, seed, facts).take()
    prefix.pace, prefix.kills = 0.3, 0.1
    for _ in range(len(facts) // 2):
        prefix.send_next()
    prefix.wish(Forget(account=other, at=prefix.clock + 1, persons=("Ann",)))
    prefix.wish(Forget(account=account, at=prefix.clock + 1))
    if seed % 3 == 0:
        prefix.wish(Lift(account=account, at=prefix.clock + 1))
    await prefix.carry_out_all()
    prefix.pace = prefix.kills = 0.0
    prefix.traffic[:] = [
        one for one in prefix.traffic if one.account != other or one.data.get("person") != "Ann"
    ]
    while prefix.traffic:
        prefix.send_next()
    await prefix.settle(max(one.recorded for one in facts) + 86_400_000)
    for number, log in enumerate(prefix.logs):
        rig = Rig(file)
        await rig.take()
        kept = [one for one in log if not _is_absent(one, other)]
        for start in range(0, len(kept), 7):
            await refold(Batch("signals", 0, kept[start : start + 7]), rig.owned, rig.versions)
        live, given = prefix.rigs[number].memory, rig.memory.accounts
        comparison = Comparison(rig.versions.timeline, rig.owned.position.clock)
        for name, value in live.accounts.items():
            differences = comparison.compare(name, value, given.get(name), live.deadlines.get(name))
            assert differences == [], (seed, name)


def _is_absent(record: Any, account: str) -> bool:
    return record.key == account.encode() and b'"person":"Ann"' in (record.value or b"")


class Sealed(Prefix):
    """A prefix whose facts are sealed, with keys that a forget destroys."""

    ring: Keyring

    async def take(self) -> Sealed:
        self.ring = await new_keyring()
        for rig in self.rigs:
            rig.versions = one_version(rig.engine, keys=self.ring)
            rig.owned.codec = rig.versions
        await super().take()
        return self

    async def shred(self, operation: Operation) -> None:
        self._interrupt()
        await destroy_keys(self.ring, operation)

    async def allow(self, operation: Operation) -> None:
        self._interrupt()
        await self.ring.store.lift([self.ring.names.account(one) for one in operation.path])
        self.ring.drop()

    def persons(self, account: str, person: str) -> tuple[str, ...]:
        return name_persons(self.ring, [account], [normalize_person(person) or ""])


@pytest.mark.parametrize("seed", range(200, 212))
async def test_with_keys_a_replay_of_the_same_log_comes_to_the_same_without_what_is_forgotten(
    seed: int,
) -> None:
    file, events = generate(seed)
    facts = sorted(with_persons(facts_of(events), seed), key=lambda one: one.recorded)
    draw = random.Random(seed)
    names = sorted({one.account for one in facts})
    account, other = draw.choice(names), draw.choice(names)
    prefix = await Sealed(file, 2, seed).take()
    prefix.traffic = await seal_all(prefix.ring, facts)
    prefix.pace, prefix.kills = 0.3, 0.1
    for _ in range(len(facts) // 2):
        prefix.send_next()
    at = prefix.clock + 1
    prefix.wish(Forget(account=other, at=at, persons=prefix.persons(other, "Jane Doe"), texts=seed % 2 == 0))
    prefix.wish(Forget(account=account, at=at))
    if seed % 3 == 0:
        prefix.wish(Lift(account=account, at=at))
    await prefix.carry_out_all()
    prefix.pace = prefix.kills = 0.0
    while prefix.traffic:  # what was sealed before comes late
        prefix.send_next()
    await prefix.settle(max(one.recorded for one in facts) + 86_400_000)
    for number, log in enumerate(prefix.logs):
        rig = Rig(file)
        rig.versions = one_version(rig.engine, keys=prefix.ring)
        rig.owned.codec = rig.versions
        await rig.take()
        for start in range(0, len(log), 7):
            await refold(Batch("signals", 0, log[start : start + 7]), rig.owned, rig.versions)
        live, given = prefix.rigs[number].memory, rig.memory.accounts
        comparison = Comparison(rig.versions.timeline, rig.owned.position.clock)
        for name, value in live.accounts.items():
            differences = comparison.compare(name, value, given.get(name), live.deadlines.get(name))
            assert differences == [], (seed, name)
            assert seed % 3 or name not in (account, other) or _sequence(value) == _sequence(given[name])
            assert name != account or b"ane" not in value.lower()
            assert name != other or b"jane doe" not in value.lower()


def _sequence(value: bytes) -> int:
    return decode_state(value).sequence
