"""Facts are sealed on their way into `signals`, and opened where they take effect: no decision changes by it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.deciding.versions import one_version
from resegment.agents.intake import Ingested, IntakeRules, ingest
from resegment.agents.privacy.sealing import FactSealer
from resegment.metrics import Metrics
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.schemas.identities.records import Merge, Unmerge
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.privacy.facts import keys_of
from resegment.schemas.privacy.opening import open_all
from resegment.schemas.state import AccountState
from resegment.state.keys.keyring import Keyring, make_keys, open_keyring
from resegment.state.keys.memory import MemoryKeyStore
from resegment.state.keys.store import KeyStoreLost, KeyStoreUnavailable
from resegment.streams.worker.key_watch import KeyWatch
from tests.builders import Published, Rig, facts_of, raw_event, run, signals, ticking
from tests.merging import Prefix
from tests.oracle.cases import day, event, segments
from tests.oracle.generate import generate
from tests.sealing import OPERATOR, new_keyring, seal_all, with_persons

NOW = 1_750_000_000_000
FILE = segments(
    reached={"event": "engagement", "where": {"person": "Jane Doe"}},
    spoken={"event": "engagement", "within": "30d"},
)


async def take(keys: Keyring | None, *values: bytes, **given: Any) -> tuple[Ingested, Published]:
    published = Published()
    rules = IntakeRules("wall", lambda: NOW, sealer=keys and FactSealer(keys, **given))
    records = [RecordedMessage(offset, NOW, None, value) for offset, value in enumerate(values)]
    batch = Batch("triggers.engagement", 0, records)
    taken = await ingest(
        batch, rules, publisher=published, signals="signals", dead_letters="dead-letters", unresolved="unresolved"
    )  # fmt: skip
    return taken, published


def visit(**given: Any) -> bytes:
    data = {
        "action": "visited",
        "person": "Jane Doe",
        "url": "https://acme.com/jane",
        **given.pop("data", {}),
    }
    return raw_event(**{"type": "gtm.engagement.v1", "data": data, **given})


def sent(published: Published) -> list[Fact]:
    return [decode_fact(one.value or b"") for one in published.to("signals")]


async def opened(keys: Keyring, facts: list[Fact]) -> list[Fact]:
    return list(open_all(await keys.opener(facts), facts))


async def test_personal_fields_are_sealed_when_an_event_arrives() -> None:
    keys = await new_keyring()
    values = [visit(id="a"), raw_event(id="b"), visit(id="jane@acme.com/3", data={"person": None})]
    _, published = await take(keys, *values)
    _, plain = await take(None, *values)
    text = b"".join(one.value or b"" for one in published.messages).lower()
    assert b"jane" not in text
    assert b'"action":"visited"' in text
    assert await opened(keys, sent(published)) == sent(plain)
    assert [bool(keys_of(one)) for one in sent(published)] == [True, False, True]
    again, _ = await take(keys, *values)
    assert (await take(keys, *values))[1].messages == published.messages
    assert again.accepted == 3


async def test_without_keys_nothing_changes() -> None:
    stolen = sent((await take(await new_keyring(), visit()))[1])[0].data["sealed"]
    taken, published = await take(None, visit(data={"sealed": stolen}))
    assert taken.accepted == 1
    assert sent(published)[0].data["sealed"] == stolen


@pytest.mark.parametrize("subject", ["acme.com", "thief.com"])
async def test_an_event_that_brings_a_sealed_text_is_refused_and_the_others_come_through(
    subject: str,
) -> None:
    keys = await new_keyring()
    stolen = sent((await take(keys, visit()))[1])[0].data["sealed"]
    taken, published = await take(
        keys,
        visit(subject=subject, data={"sealed": stolen}),
        visit(subject=subject, data={"sealed": stolen + "A" * 200_000}),
        visit(subject=subject, data={"sealed": stolen + "A" * 900_000}),
        visit(subject=subject, id="good"),
    )
    assert [(one.reason, one.field) for one in taken.refused] == [
        ("sealed-field", "data.sealed"),
        ("sealed-field", "data.sealed"),
        ("too-large", None),
    ]
    assert [one.id for one in await opened(keys, sent(published))] == ["good"]


@pytest.mark.parametrize("odd", ["text", "s1.", "s1.x.y", 7, ["s1.a.b"], {"person": "Joe"}])
async def test_another_field_of_that_name_is_sealed_like_personal_ones(odd: Any) -> None:
    keys = await new_keyring()
    _, published = await take(keys, visit(data={"sealed": odd}))
    (fact,) = await opened(keys, sent(published))
    assert fact.data["sealed"] == odd


async def test_events_of_forgotten_accounts_and_persons_are_left_out_and_counted() -> None:
    keys = await new_keyring()
    await keys.store.destroy([keys.names.account("gone.com")], forget=True)
    await keys.store.destroy([keys.names.person("acme.com", "jane doe")], forget=True)
    taken, published = await take(
        keys,
        visit(id="1", subject="gone.com", data={"person": None, "url": None}),
        visit(id="2", subject="gone.com"),
        visit(id="3", data={"person": "JANE  doe"}),
        visit(id="4", data={"person": "Joe"}),
        visit(id="5", subject="other.com"),
    )
    assert (taken.accepted, taken.forgotten, len(taken.refused)) == (2, 3, 0)
    assert [one.id for one in sent(published)] == ["4", "5"]
    assert published.to("dead-letters") == []


async def test_a_forgotten_person_does_not_come_back_by_another_name_beside_a_known_one() -> None:
    keys = await new_keyring()
    await keys.store.destroy([keys.names.person("acme.com", "jane@acme.com")], forget=True)
    whole = {"person": None, "full_name": "Jane Doe", "email": "Jane@acme.com"}
    values = [
        visit(id="1", data={"person": "Jane M. Doe", "email": "JANE@acme.com"}),
        visit(id="2", data=whole),
        visit(id="3", data={"person": "Joe", "email": "joe@acme.com", "linkedin": ["x"]}),
        visit(id="4", subject="other.com", data={"email": "jane@acme.com"}),
    ]
    taken, published = await take(keys, *values)
    assert (taken.forgotten, [one.id for one in sent(published)]) == (2, ["3", "4"])
    logged = sent((await take(None, *values))[1])  # from before the prefix had keys
    assert [one.id for one in await opened(keys, logged)] == ["3", "4"]
    await keys.store.lift([keys.names.person("acme.com", "jane@acme.com")])
    keys.drop()
    assert (await take(keys, *values))[0].forgotten == 0


class Away:
    """A key store that is away."""

    async def pairs(self, subjects: Any) -> Any:
        raise KeyStoreUnavailable("away")

    async def refresh_forgotten(self) -> None:
        pass

    forgets = False

    def forgets_person(self, account: str, person: str | None, data: Any) -> bool:
        return False

    def is_forgotten(self, account: str) -> bool:
        return False


async def test_nothing_is_published_while_the_key_store_is_away() -> None:
    published = Published()
    rules = IntakeRules("wall", lambda: NOW, sealer=FactSealer(Away()))
    batch = Batch("triggers.engagement", 0, [RecordedMessage(0, NOW, None, visit())])
    with pytest.raises(KeyStoreUnavailable):
        await ingest(batch, rules, publisher=published, signals="signals", dead_letters="dead-letters")
    assert published.messages == []


async def test_a_key_store_that_was_emptied_is_waited_for_and_gets_no_keys_in_place_of_the_lost_ones() -> (
    None
):
    keys = await new_keyring()
    logged = sent((await take(keys, visit()))[1])
    whole, emptied = keys.store, MemoryKeyStore()
    made_again = MemoryKeyStore()
    await make_keys(made_again, OPERATOR)
    for lost in (emptied, made_again):
        keys.store = lost
        keys.drop()
        with pytest.raises(KeyStoreLost):
            await take(keys, visit())
        with pytest.raises(KeyStoreLost):
            await opened(keys, logged)
        assert [one async for one in lost.scan()] == []
    keys.store = whole
    keys.drop()
    assert len(await opened(keys, logged)) == 1
    assert (await take(keys, visit()))[0].accepted == 1


async def sealed_rig(file: Any, keys: Keyring) -> Rig:
    rig = Rig(file)
    rig.versions = one_version(rig.engine, keys=keys)
    rig.owned.codec = rig.versions
    return rig


@pytest.mark.parametrize("seed", range(12))
async def test_sealed_facts_lead_to_the_same_decisions(seed: int) -> None:
    file, events, *_ = generate(seed)
    facts = with_persons(facts_of(events), seed)
    keys = await new_keyring()
    mixed = [
        one if seed % 3 == 0 and random.Random(place).random() < 0.3 else hidden
        for place, (one, hidden) in enumerate(zip(facts, await seal_all(keys, facts), strict=True))
    ]
    plain, sealed = Rig(file), await sealed_rig(file, keys)
    for rig, given in ((plain, facts), (sealed, mixed)):
        records = signals(sorted(given, key=lambda one: one.recorded))
        await run(rig, [records[at : at + 7] for at in range(0, len(records), 7)])
        await rig.deliver()
    assert sealed.memory.accounts == plain.memory.accounts
    assert sealed.changes == plain.changes
    assert sealed.published.messages == plain.published.messages


def states_of(rig: Rig) -> dict[str, AccountState]:
    """Return the stored states: of the same one, one log may have more items than the other."""
    return {name: decode_state(value) for name, value in rig.memory.accounts.items()}


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_forgotten_is_as_if_it_had_never_come(seed: int) -> None:
    file, events, *_ = generate(seed)
    facts = sorted(with_persons(facts_of(events), seed), key=lambda one: one.recorded)
    keys = await new_keyring()
    gone = sorted({one.account for one in facts})[1 + seed % 2 :: 2]
    kept = [one for one in facts if one.account not in gone and one.data.get("person") != "Jane Doe"]
    hidden = [
        one
        for fact, one in zip(facts, await seal_all(keys, facts), strict=True)
        if fact in kept or one is not fact
    ]
    await keys.store.destroy([keys.names.account(one) for one in gone], forget=True)
    persons = {keys.names.person(one.account, "jane doe") for one in facts}
    await keys.store.destroy(persons, forget=True)
    keys.drop()
    left, sealed = Rig(file), await sealed_rig(file, keys)
    end = facts[-1].recorded + 1
    await run(left, [signals(kept), [ticking(len(kept), end)]])
    await run(sealed, [signals(hidden), [ticking(len(hidden), end)]])
    assert states_of(sealed) == states_of(left)
    named = {fact.account for fact in hidden}
    assert {name for name in named if sealed.owned.cached(name)} == sealed.memory.accounts.keys()
    assert sealed.net == left.net
    assert not [one for result in sealed.results for one in result.refused]


async def test_a_fact_that_does_not_open_is_set_aside_alone() -> None:
    keys = await new_keyring()
    good, other = await seal_all(keys, facts_of([visit_of("acme.com", "1"), visit_of("globex.com", "2")]))
    rig = await sealed_rig(FILE, keys)
    strange = f"s1.{'x' * 22}-1~{'y' * 22}-1.AAAA"
    bad = [
        replace(other, account="acme.com"),  # somebody else's envelope
        replace(good, id="9", data={"sealed": strange}),
        replace(good, id="8", data={"sealed": good.data["sealed"][:-3] + "AAA"}),
    ]
    await rig.take()
    done = await rig.feed(*signals([*bad, good, other]))
    assert [one.reason for one in done.refused] == ["not-opened"] * 3
    assert {name: len(one.entries) for name, one in rig.states().items()} == {"acme.com": 1, "globex.com": 1}
    letters = rig.published.to("dead-letters")
    assert [one.value for one in letters] == [encode_fact(one) for one in bad]


class Flaky(MemoryKeyStore):
    """A key store that can go away."""

    away = False

    async def read(self, names: Any) -> Any:
        if self.away:
            raise KeyStoreUnavailable("away")
        return await super().read(names)

    async def read_secret(self) -> str | None:
        if self.away:
            raise KeyStoreUnavailable("away")
        return await super().read_secret()


async def test_a_batch_waits_for_the_key_store_and_is_decided_once_it_is_back() -> None:
    store = Flaky()
    await make_keys(store, OPERATOR)
    keys = await open_keyring(store, OPERATOR, "p")
    sealed = await seal_all(keys, facts_of([visit_of("acme.com", "1"), visit_of("acme.com", "2")]))
    rig = await sealed_rig(FILE, keys)
    await rig.take()
    keys.drop()
    store.away = True
    for _ in range(2):
        with pytest.raises(KeyStoreUnavailable):
            await rig.feed(*signals(sealed))
        assert rig.memory.accounts == {}
        await rig.take()
    store.away = False
    assert (await rig.feed(*signals(sealed))).refused == []
    assert len(rig.state("acme.com").entries) == 2


async def test_that_the_key_store_is_away_is_seen() -> None:
    store, metrics = Flaky(), Metrics()
    await make_keys(store, OPERATOR)
    watch = KeyWatch(await open_keyring(store, OPERATOR, "p"), metrics)
    assert await watch.ask()
    store.away = True
    assert not await watch.ask()
    assert watch.away == "away"
    assert metrics.key_store_up._value.get() == 0
    store.away = False
    assert await watch.ask()
    assert watch.away is None
    assert metrics.key_store_up._value.get() == 1
    assert await KeyWatch(None, metrics).ask()


def visit_of(account: str, id: str) -> Any:  # noqa: A002  # of the event
    return event("engagement", day(0), account=account, id=id, action="visited", person="Jane Doe")


async def test_a_retracted_fact_is_found_though_its_record_names_a_person() -> None:
    keys = await new_keyring()
    told = event("engagement", day(0), id="jane@acme.com", person="Jane Doe", action="visited")
    taken_back = event("engagement", day(0), id="2", record="jane@acme.com", op="retract", known=day(1))
    sealed = await seal_all(keys, facts_of([told, taken_back]))
    rig = await sealed_rig(FILE, keys)
    await run(rig, [signals(sealed[:1]), signals(sealed[1:], 1)])
    (state,) = rig.states().values()
    assert [one.retracted for one in state.entries] == [True]
    assert b"jane" not in b"".join(map(encode_fact, sealed))


async def test_fields_that_are_never_kept_are_dropped_from_sealed_facts_too() -> None:
    file = {**FILE, "privacy": {"drop": ["url", "sealed"]}}
    keys = await new_keyring()
    facts = facts_of(
        [{**visit_of("acme.com", "1"), "data": {"person": "Jane Doe", "url": "x", "action": "a"}}]
    )
    plain, sealed = Rig(file), await sealed_rig(file, keys)
    await run(plain, [signals(facts)])
    await run(sealed, [signals(await seal_all(keys, facts))])
    assert sealed.states() == plain.states()
    assert sealed.changes == plain.changes
    assert plain.changes


@pytest.mark.parametrize("seed", range(8))
async def test_merges_pass_sealed_facts_on_and_come_to_the_same(seed: int) -> None:
    _, events, *_ = generate(seed)
    facts = sorted(with_persons(facts_of(events), seed), key=lambda one: one.recorded)
    names = sorted({one.account for one in facts})
    if len(names) < 2:
        facts += with_persons(facts_of([visit_of("acme.io", "7"), visit_of("acme.net", "8")]), seed)
        names = sorted({one.account for one in facts})
    keys = await new_keyring()
    prefixes = []
    for given in (facts, await seal_all(keys, facts)):
        prefix = await Prefix(FILE, 3, seed, traffic=given[len(given) // 2 :]).take()
        if given is not facts:
            for rig in prefix.rigs:
                rig.versions = one_version(rig.engine, keys=keys)
        for one in given[: len(given) // 2]:
            prefix.send(one)
        await prefix.settle()
        for wish in (
            Merge(alias=names[0], account=names[1], at=prefix.clock + 1),
            Unmerge(alias=names[0], at=prefix.clock + 2),
            Merge(alias=names[0], account=names[1], at=prefix.clock + 3),
        ):
            prefix.wish(wish)
            await prefix.carry_out_all()
            prefix.send_next()
        while prefix.traffic:
            prefix.send_next()
        await prefix.settle()
        prefixes.append(prefix)
    plain, sealed = prefixes
    for name in names:
        assert sealed.state(name) == plain.state(name)
    log = b"".join(one.value or b"" for records in sealed.logs for one in records)
    assert b"Jane" not in log
    assert b"Blogs" not in log
