"""The index of accounts, changes and commands, from which pages are read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from resegment.streams.live import index as module
from resegment.streams.live.decoding import Change, Command
from resegment.streams.live.index import HOUR, Index
from resegment.streams.live.members import MemberFilter, find_members
from resegment.streams.live.queries import (
    Filter,
    changes_after,
    find_changes,
    find_commands,
    find_flows,
    find_hours,
    find_span,
    find_stays,
    newest_seq,
    places_upto,
    seq_before,
)

DAY = 24 * HOUR


@pytest.fixture
async def index() -> AsyncIterator[Index]:
    made = Index()
    yield made
    await made.close()


def change(number: int, at: int, from_: str | None, to: str | None, **given: Any) -> Change:
    made = Change(
        place=(0, number),
        id=f"{given.get('account', 'acme.com')}-{number}",
        account="acme.com",
        number=number,
        from_=from_,
        to=to,
        at=at,
        decided=at,
        told=b'{"cause": {}, "reason": {"holds": []}}',
        supersedes=None,
        holdout=False,
    )
    return replace(made, **given)


async def listed(index: Index, wanted: Filter | None = None) -> list[tuple[str | None, str | None]]:
    found = await index.read(
        partial(find_changes, wanted=wanted or Filter(), order="at", descending=False, start=0, size=50)
    )
    assert found.total == len(found.rows)
    return [(one.from_, one.to) for one in found.rows]


async def test_a_change_that_was_published_twice_counts_once(index: Index) -> None:
    first, second = change(1, 0, None, "cold"), change(2, DAY, "cold", "hot")
    assert await index.add_changes([first, second, replace(second, place=(0, 3))]) == 2
    assert await index.add_changes([first]) == 0
    assert await index.read(partial(find_flows, since=0, until=2 * DAY)) == [
        ("", "cold", 1),
        ("cold", "hot", 1),
    ]


async def test_a_change_that_another_replaced_is_left_out_of_lists_flows_and_stays(index: Index) -> None:
    await index.add_changes([change(1, 0, None, "cold"), change(2, DAY, "cold", "warm")])
    await index.add_changes([change(3, DAY, "cold", "hot", supersedes="acme.com-2")])
    await index.add_changes([change(4, 3 * DAY, "hot", "cold")])
    assert await listed(index) == [(None, "cold"), ("cold", "hot"), ("hot", "cold")]
    assert len(await listed(index, Filter(with_void=True))) == 4
    assert ("cold", "warm", 1) not in await index.read(partial(find_flows, since=0, until=4 * DAY))
    assert (await index.read(partial(find_stays, segment="cold"))).median == DAY
    assert (await index.read(partial(find_stays, segment="hot"))).median == 2 * DAY


async def test_a_stay_that_began_before_the_oldest_change_counts_from_what_the_account_says(
    index: Index,
) -> None:
    await index.put_accounts([("acme.com", "Acme", "cold", 5 * DAY)])
    await index.add_changes([change(7, 9 * DAY, "cold", "hot")])
    assert (await index.read(partial(find_stays, segment="cold"))).median == 4 * DAY


async def test_an_account_that_was_read_before_its_change_stays_where_the_change_put_it(index: Index) -> None:
    await index.put_accounts([("acme.com", "Acme", "cold", DAY)])
    await index.add_changes([change(1, 2 * DAY, "cold", "hot")])
    await index.put_accounts([("acme.com", "Acme Corp", "cold", DAY)])
    found = await index.read(
        partial(
            find_members, wanted=MemberFilter("hot", "corp"), order="name", descending=False, start=0, size=9
        )
    )
    assert [(one.account, one.name, one.entered) for one in found.rows] == [
        ("acme.com", "Acme Corp", 2 * DAY)
    ]


async def test_an_account_that_ended_is_in_no_list(index: Index) -> None:
    await index.put_accounts([("acme.com", "Acme", "cold", 0)])
    await index.add_changes([change(1, DAY, "cold", None)])
    found = await index.read(
        partial(find_members, wanted=MemberFilter(), order="since", descending=True, start=0, size=9)
    )
    assert found.total == 0


async def test_a_feed_continues_after_the_offsets_that_it_has(index: Index) -> None:
    await index.add_changes(
        [
            change(1, 0, None, "cold", place=(0, 5)),
            change(1, 0, None, "cold", place=(1, 3), account="b.com"),
            change(2, DAY, "cold", "hot", place=(0, 6)),
        ]
    )
    seq = await index.read(newest_seq)
    assert await index.read(partial(places_upto, upto=seq)) == {0: 7, 1: 4}
    before = await index.read(partial(seq_before, places={0: 6}, upto=seq))
    missed = await index.read(partial(changes_after, seq=before, most=9))
    assert [(one.account, one.place) for one in missed] == [("b.com", (1, 3)), ("acme.com", (0, 6))]
    assert await index.read(partial(seq_before, places={0: 7, 1: 4}, upto=seq)) == seq


async def test_the_oldest_changes_go_when_there_are_too_many_and_the_span_says_so(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CHANGES", 10)
    monkeypatch.setattr(module, "_TRIMMED", 5)
    for number in range(1, 40):
        await index.add_changes([change(number, number * DAY, "cold", "hot")])
    span = await index.read(find_span)
    kept = len(await listed(index))
    assert 10 <= kept <= 16
    assert span.begin == (40 - kept) * DAY
    hours = await index.read(partial(find_hours, since=0))
    assert hours[0][0] >= span.begin


async def test_the_file_is_deleted_at_the_end() -> None:
    made = Index()
    assert made.path.exists()
    await made.close()
    assert not made.path.parent.exists()


async def test_the_oldest_commands_go_when_there_are_too_many(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_COMMANDS", 10)
    monkeypatch.setattr(module, "_TRIMMED", 5)
    for number in range(40):
        one = Command((0, number), f"c-{number}", "acme.com", number, "enroll", "calls", "hot", None, "")
        await index.add_commands([one, one])
    found = await index.read(partial(find_commands, account="acme.com", until=None, most=99))
    assert 10 <= len(found) <= 16
    assert [one.at for one in found] == list(range(39, 39 - len(found), -1))


async def test_a_forgotten_account_leaves_nothing_but_its_end_and_a_forgotten_person_no_reason(
    index: Index,
) -> None:
    for name in ("acme.com", "b.com"):
        await index.put_accounts([(name, name, "hot", HOUR)])
        told = b'{"cause": {}, "reason": {"holds": ["Ann Lee"]}}'
        await index.add_changes(
            [replace(change(1, HOUR, None, "hot", account=name), account=name, told=told)]
        )
        await index.add_commands([Command((0, 1), f"c-{name}", name, HOUR, "enroll", "w", "hot", "Bo", "")])
    await index.forget("acme.com", 2 * HOUR, person=False)
    await index.forget("b.com", 2 * HOUR, person=True)

    def left(table: str) -> Any:
        return index.read(lambda one: one.execute(f"select account from {table}").fetchall())

    assert [await left(table) for table in ("accounts", "changes", "commands")] == [[("b.com",)]] * 3
    ((told,),) = await index.read(lambda one: one.execute("select told from changes").fetchall())
    assert b"Ann" not in told
