"""What every store of a partition promises: one suite for the one in memory and the one in Redis."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from resegment.schemas.logs.log_framing import begin_log
from resegment.schemas.outcomes.ledger import MOST_BYTES, MOST_ITEMS, encode_ledger, join_ledgers
from resegment.schemas.outcomes.touch import TouchVoid
from resegment.state.partition_store import Commit, Fenced, OutboxEntry, PartitionStore, Position, RolledBack
from tests.contracts.conftest import Open, Server

HERE = Position(
    offset=7,
    timestamp=1_700_000_000_000,
    digest="d1",
    log="log-1",
    clock=1_700_000_000_123,
    commit=1,
    side=4,
    side_mark="3:1700000000000:8fba4c7193cca9cd",
    definition='{"pending": "a b"}',
)
WHOLE = Commit(
    fence=0,  # no store gives that out
    position=HERE,
    states=[("acme.com", b"\x00\xff"), ("müller.de", b"two")],
    deadlines=[("acme.com", 1_800_000_000_001), ("müller.de", None)],
    outbox=b"payload",
    changes=2,
    sizes=[("hot", 2), ("cold", -1)],
)


async def take(store: PartitionStore) -> Commit:
    """Claim; the first commit of who did."""
    return replace(WHOLE, fence=(await store.claim()).fence)


def after(commit: Commit, **changed: object) -> Commit:
    """The next commit of the same owner, empty but for what is given."""
    position = replace(commit.position, commit=commit.position.commit + 1)
    return replace(Commit(commit.fence, position), **changed)  # type: ignore[arg-type]


def log(*items: bytes) -> bytes:
    """A log of these items."""
    return begin_log(len(items)) + b"".join(items)


async def everything(store: PartitionStore) -> object:
    """All that can be read of a store but its fence."""
    return (
        await store.read(["acme.com", "müller.de", "other.com"]),
        await store.outbox(None, 100),
        await store.sizes(),
    )


async def test_a_fresh_partition_has_no_position_and_nothing_in_it(store: PartitionStore) -> None:
    assert (await store.claim()).position is None
    assert await everything(store) == ([None, None, None], [], {})
    assert await store.read([]) == []


async def test_a_scan_gives_every_account_with_its_state(store: PartitionStore) -> None:
    states = [(f"a{number}.com", str(number).encode()) for number in range(1_000)]
    await store.commit(replace(await take(store), states=states))
    found: dict[str, bytes] = {}
    cursor, steps = await store.scan(0, 100)
    found.update(steps)
    while cursor:
        cursor, steps = await store.scan(cursor, 100)
        found.update(steps)
    assert found == dict(states)


def ledger(*changes: str) -> bytes:
    """A ledger of these items."""
    return encode_ledger([TouchVoid(account="acme.com", at=1, change=one) for one in changes])


async def test_a_ledger_is_appended_to_and_replaced(store: PartitionStore) -> None:
    first = replace(await take(store), ledgers=[("acme.com", ledger("a")), ("müller.de", ledger("b"))])
    assert list((await store.commit(first)).crowded) == []
    second = after(first, ledgers=[("acme.com", ledger("c", "d"))])
    await store.commit(second)
    await store.commit(second)  # the reply was lost: nothing is appended twice
    assert await store.read_ledgers(["acme.com", "müller.de", "other.com"]) == [
        ledger("a", "c", "d"),
        ledger("b"),
        None,
    ]
    await store.commit(after(second, compacted=[("acme.com", ledger("d"))]))
    assert await store.read_ledgers(["acme.com"]) == [ledger("d")]
    assert await store.read_ledgers([]) == []


async def test_a_ledger_that_is_too_long_is_named(store: PartitionStore) -> None:
    half, long = ledger(*"x" * (MOST_ITEMS // 2)), ledger("x" * (MOST_BYTES - 30))
    first = replace(await take(store), ledgers=[("acme.com", half), ("müller.de", long)])
    assert list((await store.commit(first)).crowded) == []
    second = after(first, ledgers=[("acme.com", half), ("müller.de", ledger())])
    assert list((await store.commit(second)).crowded) == []
    third = after(second, ledgers=[("acme.com", ledger("a")), ("müller.de", ledger("a" * 40))])
    assert sorted((await store.commit(third)).crowded) == ["acme.com", "müller.de"]
    (found,) = await store.read_ledgers(["acme.com"])
    assert found == join_ledgers([half, half, ledger("a")])


async def test_thousands_of_ledgers_are_written_at_once(store: PartitionStore) -> None:
    ledgers = [(f"a{number}.com", ledger(str(number))) for number in range(5_000)]
    first = replace(await take(store), ledgers=ledgers)
    await store.commit(first)
    await store.commit(after(first, ledgers=ledgers))
    found = await store.read_ledgers(["a0.com", "a4999.com"])
    assert found == [ledger("0", "0"), ledger("4999", "4999")]


async def test_what_is_folded_in_lies_beside_the_accounts_until_it_is_cleared(store: PartitionStore) -> None:
    await store.commit(await take(store))
    await store.keep_folded([("acme.com", b"one"), ("other.com", b"two")])
    await store.keep_folded([("acme.com", b"three")])
    assert await store.read_folded(["acme.com", "none.com", "other.com"]) == [b"three", None, b"two"]
    assert await store.read(["other.com"]) == [None]
    await store.clear_folded()
    assert await store.read_folded(["acme.com"]) == [None]
    assert (await store.claim()).missing == []


async def test_each_claim_gets_a_greater_fence(store: PartitionStore, open_store: Open) -> None:
    fences = [(await each.claim()).fence for each in (store, open_store(0), store)]
    assert fences == sorted(set(fences))


async def test_no_fence_comes_again_after_the_store_was_rolled_back(
    store: PartitionStore, open_store: Open, server: Server
) -> None:
    kept = await take(store)
    await store.commit(kept)
    await server.keep()
    given = [kept.fence]
    for _ in range(3):
        forgotten = open_store(0)
        fence = (await forgotten.claim()).fence
        await server.roll_back()
        with pytest.raises(Fenced):  # even where nobody has claimed since
            await forgotten.commit(replace(after(kept), fence=fence))
        successor = open_store(0)
        taken = (await successor.claim()).fence
        given += [fence, taken]
        with pytest.raises(Fenced):
            await forgotten.check(fence, 1)
        with pytest.raises(Fenced):
            await forgotten.commit(replace(after(kept), fence=fence))
        await successor.commit(replace(after(kept), fence=taken))
        await server.roll_back()
    assert given == sorted(set(given))


async def test_a_commit_writes_all_that_is_in_it(store: PartitionStore, open_store: Open) -> None:
    whole = await take(store)
    written = await store.commit(whole)

    other = open_store(0)
    assert await other.read(["müller.de", "other.com", "acme.com"]) == [b"two", None, b"\x00\xff"]
    assert await other.outbox(None, 10) == [OutboxEntry(str(written.outbox_id), b"payload")]
    assert await other.sizes() == {"hot": 2, "cold": -1}
    assert written.next_deadline == 1_800_000_000_001
    assert (await other.claim()).position == HERE


async def test_the_same_commit_again_changes_nothing_and_gives_the_same_answer(
    store: PartitionStore, open_store: Open
) -> None:
    whole = await take(store)
    commit = replace(whole, deadlines=[("acme.com", 5), ("müller.de", 3)], due_limit=10)
    first = await store.commit(commit)
    before = await everything(store)
    assert await open_store(0).commit(commit) == first
    assert await everything(store) == before
    assert first.due == ["müller.de", "acme.com"]


async def test_the_same_commit_again_names_no_entry_of_an_earlier_commit(store: PartitionStore) -> None:
    whole = await take(store)
    await store.commit(whole)
    empty = after(whole)
    assert (await store.commit(empty)).outbox_id is None
    assert (await store.commit(empty)).outbox_id is None


@pytest.mark.parametrize("number", [1, 2, 4, 99])
async def test_a_commit_out_of_turn_is_rolled_back_and_writes_nothing(
    store: PartitionStore, number: int
) -> None:
    whole = await take(store)
    await store.commit(whole)
    await store.commit(replace(after(whole), position=replace(HERE, commit=2)))
    before = await everything(store)
    wrong = replace(whole, position=replace(HERE, commit=number), states=[("acme.com", b"wrong")])
    if number == 2:  # the last one again: applied already
        await store.commit(wrong)
    else:
        with pytest.raises(RolledBack):
            await store.commit(wrong)
    assert await everything(store) == before
    await store.check(whole.fence, 2)


async def test_a_first_commit_must_be_number_one(store: PartitionStore) -> None:
    whole = await take(store)
    with pytest.raises(RolledBack):
        await store.commit(replace(whole, position=replace(HERE, commit=2)))
    assert await everything(store) == ([None, None, None], [], {})


async def test_who_was_fenced_off_writes_nothing(store: PartitionStore, open_store: Open) -> None:
    whole = await take(store)
    await store.commit(whole)
    taken = await open_store(0).claim()
    before = await everything(store)
    with pytest.raises(Fenced):
        await store.commit(after(whole, states=[("acme.com", b"late")], outbox=b"late"))
    with pytest.raises(Fenced):
        await store.commit(whole)
    assert await everything(store) == before
    await store.commit(replace(after(whole), fence=taken.fence))


async def test_a_check_tells_whether_the_partition_is_as_its_owner_left_it(
    store: PartitionStore, open_store: Open
) -> None:
    whole = await take(store)
    await store.check(whole.fence, 0)
    await store.commit(whole)
    await store.check(whole.fence, 1)
    with pytest.raises(RolledBack):
        await store.check(whole.fence, 2)
    await open_store(0).claim()
    with pytest.raises(Fenced):
        await store.check(whole.fence, 1)


async def test_due_accounts_come_in_the_order_of_their_deadlines_up_to_the_limit(
    store: PartitionStore,
) -> None:
    fence = (await store.claim()).fence
    names = ["c", "b", "é", "d", "a"]
    commit = Commit(
        fence,
        Position(clock=100, commit=1),
        states=[(name, name.encode()) for name in names],
        deadlines=list(zip(names, [100, 50, 50, 101, 7], strict=True)),
        due_limit=3,
    )
    written = await store.commit(commit)
    assert written.due == ["a", "b", "é"]
    assert written.next_deadline == 7

    later = after(commit, deadlines=[("a", None), ("b", 200), ("é", 300)], due_limit=10)
    written = await store.commit(later)
    assert written.due == ["c"]
    assert written.next_deadline == 100

    written = await store.commit(after(later, deadlines=[("c", None), ("d", None), ("nobody", None)]))
    assert written.next_deadline == 200
    assert not written.due


async def test_nothing_is_due_before_the_clock_of_the_commit(store: PartitionStore) -> None:
    fence = (await store.claim()).fence
    commit = Commit(fence, Position(clock=99, commit=1), [("a", b"")], [("a", 100)], due_limit=5)
    assert not (await store.commit(commit)).due
    later = await store.commit(after(commit, position=Position(clock=100, commit=2), due_limit=5))
    assert later.due == ["a"]


@pytest.mark.parametrize("limit", [0, 1])
async def test_no_more_accounts_are_due_than_asked_for(store: PartitionStore, limit: int) -> None:
    fence = (await store.claim()).fence
    commit = Commit(fence, Position(clock=100, commit=1), [("a", b"1")], [("a", 100)], due_limit=limit)
    written = await store.commit(commit)
    assert written.due == ["a"][:limit]
    assert written.next_deadline == 100


async def test_the_outbox_gives_entries_in_the_order_of_the_commits_until_acknowledged(
    store: PartitionStore,
) -> None:
    fence = (await store.claim()).fence
    for number in range(1, 8):
        await store.commit(Commit(fence, Position(commit=number), outbox=b"%d" % number, changes=1))
    entries = await store.outbox(None, 3)
    assert [one.payload for one in entries] == [b"1", b"2", b"3"]
    rest = await store.outbox(entries[-1].id, 100)
    assert [one.payload for one in rest] == [b"4", b"5", b"6", b"7"]

    await store.acknowledge([entries[0].id, entries[2].id])
    await store.acknowledge([entries[0].id])
    assert [one.payload for one in await store.outbox(None, 2)] == [b"2", b"4"]
    assert [one.payload for one in await store.outbox(entries[2].id, 1)] == [
        b"4"
    ]  # of those after a gone one
    await store.acknowledge([])
    await store.acknowledge([one.id for one in await store.outbox(None, 100)])
    assert await store.outbox(None, 100) == []


async def test_sizes_add_up(store: PartitionStore) -> None:
    fence = (await store.claim()).fence
    await store.commit(Commit(fence, Position(commit=1), sizes=[("hot", 3), ("cold", 1)]))
    await store.commit(Commit(fence, Position(commit=2), sizes=[("hot", -1), ("new", 2)]))
    assert await store.sizes() == {"hot": 2, "cold": 1, "new": 2}


async def test_five_thousand_accounts_are_one_commit(store: PartitionStore) -> None:
    fence = (await store.claim()).fence
    names = [f"company-{number}.com" for number in range(5_000)]
    commit = Commit(
        fence,
        Position(clock=2_000, commit=1),
        states=[(name, name.encode()) for name in names],
        deadlines=[(name, number) for number, name in enumerate(names)],
        outbox=bytes(3_000_000),
        changes=5_000,
        sizes=[(f"segment-{number}", number) for number in range(300)],
        due_limit=500,
    )
    written = await store.commit(commit)
    assert written.due == names[:500]
    assert await store.read(names) == [name.encode() for name in names]
    assert (await store.sizes())["segment-299"] == 299
    (entry,) = await store.outbox(None, 10)
    assert len(entry.payload) == 3_000_000

    gone = [(name, None) for name in names[:4_999]]
    written = await store.commit(after(commit, deadlines=gone, due_limit=500))
    assert written.next_deadline == 4_999


async def test_partitions_share_nothing(store: PartitionStore, open_store: Open) -> None:
    whole = await take(store)
    await store.commit(whole)
    other = open_store(1)
    assert await everything(other) == ([None, None, None], [], {})
    assert (await other.claim()).position is None


PARTS = ("accounts", "deadlines", "outbox", "sizes")


@pytest.mark.parametrize("part", [*PARTS, "meta"])
async def test_a_claim_names_the_part_of_a_partition_that_is_gone(
    store: PartitionStore, open_store: Open, server: Server, part: str
) -> None:
    await store.commit(await take(store))
    assert (await open_store(0).claim()).missing == []
    await server.lose(0, part)
    assert (await open_store(0).claim()).missing == [part]


async def test_nothing_is_gone_from_a_fresh_partition(store: PartitionStore) -> None:
    assert (await store.claim()).missing == []


@pytest.mark.parametrize(
    "left",
    [
        {"states": [("acme.com", b"1")]},
        {"deadlines": [("acme.com", 1)]},
        {"sizes": [("hot", 1)]},
        {"outbox": b"1"},
    ],
    ids=["accounts", "deadlines", "sizes", "outbox"],
)
async def test_any_part_shows_that_what_was_committed_is_gone(
    store: PartitionStore, open_store: Open, server: Server, left: dict[str, Any]
) -> None:
    fence = (await store.claim()).fence
    await store.commit(replace(Commit(fence, Position(commit=1)), **left))
    await server.lose(0, "meta")
    assert (await open_store(0).claim()).missing == ["meta"]


@pytest.mark.parametrize("part", PARTS)
async def test_no_commit_is_written_over_a_part_that_is_gone(
    store: PartitionStore, open_store: Open, server: Server, part: str
) -> None:
    whole = await take(store)
    await store.commit(whole)
    await server.lose(0, part)
    with pytest.raises(RolledBack):
        await store.commit(after(whole, states=[("acme.com", b"from nothing")]))
    assert await open_store(0).read(["acme.com"]) == [None if part == "accounts" else b"\x00\xff"]


async def test_published_entries_are_no_part_that_is_gone(store: PartitionStore, open_store: Open) -> None:
    committed = await store.commit(await take(store))
    await store.acknowledge([str(committed.outbox_id)])
    assert (await open_store(0).claim()).missing == []


async def test_an_appended_log_is_joined_to_the_stored_one(store: PartitionStore, open_store: Open) -> None:
    whole = await take(store)
    first = replace(whole, states=[("acme.com", log(b"a")), ("other.com", b"two")])
    await store.commit(first)
    second = after(first, appended=[("acme.com", log(b"b", b"c"))], states=[("other.com", b"three")])
    await store.commit(second)
    await store.commit(second)  # written already
    await store.commit(after(second, appended=[("acme.com", log(b"d"))]))
    assert await open_store(0).read(["other.com", "acme.com"]) == [b"three", log(b"a", b"b", b"c", b"d")]


@pytest.mark.parametrize("there", [None, b"", b"\x90", b"text"])
async def test_a_log_is_joined_to_nothing_but_a_log(store: PartitionStore, there: bytes | None) -> None:
    whole = replace(await take(store), states=[] if there is None else [("acme.com", there)])
    await store.commit(whole)
    before = await everything(store)
    with pytest.raises(RolledBack):
        await store.commit(
            after(
                whole,
                states=[("new.com", b"x")],
                appended=[("acme.com", log(b"a"))],
                sizes=[("hot", 1)],
                outbox=b"o",
            )
        )
    assert await everything(store) == before
    assert await store.read(["new.com"]) == [None]
    await store.check(whole.fence, 1)


@pytest.mark.parametrize("start", [10, 4_090, 4_091, 4_092, 30_000])
async def test_a_log_that_grows_for_long_is_read_as_it_was_written(
    store: PartitionStore, open_store: Open, start: int
) -> None:
    """Shrinks to a small log in between, and grows again from one of the same size."""
    draw = random.Random(start)
    commit = Commit((await store.claim()).fence, Position())
    for _ in range(2):
        items = [bytes([1]) * start]
        written = log(*items)
        commit = after(commit, states=[("acme.com", written), ("small.com", log(b"x"))])
        await store.commit(commit)
        for _ in range(40):
            more = [draw.randbytes(draw.choice([0, 1, 7, 500, 5_000])) for _ in range(draw.randrange(3))]
            items += more
            commit = after(commit, appended=[("acme.com", log(*more)), ("small.com", log(b"y"))])
            await store.commit(commit)
            assert await open_store(0).read(["acme.com", "none.com"]) == [log(*items), None]
        claim = await open_store(0).claim()
        assert claim.missing == []
        commit = replace(commit, fence=claim.fence)
    assert await store.read(["small.com"]) == [log(b"x", *[b"y"] * 40)]
    await store.commit(after(commit, states=[("acme.com", b"plain")]))
    assert await store.read(["acme.com"]) == [b"plain"]


async def test_thousands_of_logs_are_appended_to_in_one_commit(store: PartitionStore) -> None:
    fence = (await store.claim()).fence
    names = [f"company-{number}.com" for number in range(5_000)]
    commit = Commit(fence, Position(commit=1), [(name, log(name.encode() * 150)) for name in names])
    await store.commit(commit)
    await store.commit(after(commit, appended=[(name, log(b"more")) for name in names]))
    assert await store.read(names) == [log(name.encode() * 150, b"more") for name in names]
