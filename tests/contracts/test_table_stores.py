"""One suite for every store of tables: rows follow from the topics, whatever comes twice, late or broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resegment.agents.batch import RecordedMessage
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.steps import Step, encode_step
from resegment.schemas.outcomes.messages import encode_touch
from resegment.schemas.outcomes.touch import Touch, TouchesForgotten, TouchVoid
from resegment.tables.duck import Duck
from resegment.tables.postgres import Postgres
from resegment.tables.rows import read_batch
from resegment.tables.store import (
    NotMigrated,
    Position,
    PositionMoved,
    TablesBusy,
    TablesOfAnotherPrefix,
    TableStore,
    read_positions,
    write_batch,
)
from tests.servers.postgres import running_postgres

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = timedelta(days=90)
START = datetime(2026, 1, 1, tzinfo=UTC)
_schemas = count()

Make = Callable[[], TableStore]


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Return what makes an empty store."""
    if request.param == "duckdb":
        yield Duck
        return
    with running_postgres() as server:
        yield lambda: Postgres(server.url, f"test_{next(_schemas)}")


@pytest.fixture
def store(make: Make) -> Iterator[TableStore]:
    made = opened(make)
    yield made
    made.close()


def opened(make: Make) -> TableStore:
    made = make()
    made.migrate()
    made.open("acme", 2)
    return made


class Log:
    """One partition of a topic, as a test fills it."""

    def __init__(self, store: TableStore, topic: str = "segment-changes", partition: int = 0) -> None:
        self.store, self.topic, self.partition = store, topic, partition
        self.position = Position()
        self.offset = 0

    def record(self, value: Any, key: str = "acme.com") -> RecordedMessage:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.offset += 1
        return RecordedMessage(self.offset - 1, 1_770_000_000_000, key.encode(), data, [])

    def write(self, *records: RecordedMessage) -> None:
        after = Position(records[-1].offset + 1, 1, "mark")
        with self.store.transaction() as transaction:
            write_batch(
                transaction,
                read_batch(self.topic, self.partition, records),
                self.position,
                after,
                run="test",
                now=NOW,
                window=WINDOW,
            )
        self.position = after


def change(
    account: str, number: int, origin: str | None, to: str | None, day: float, **more: Any
) -> dict[str, Any]:
    at = (START + timedelta(days=day)).isoformat().replace("+00:00", "Z")
    data = {
        "account": account,
        "sequence_number": number,
        "from": origin,
        "to": to,
        "effective_at": at,
        "decided_at": at,
        "cause": {"events": ["e"]},
        "definition_version": "v1",
        "supersedes": None,
        "play": f"play-{to}",
        "route": {"workflow": "outbound", "team": "north"},
        "holdout": False,
        **more,
    }
    return {"specversion": "1.0", "id": f"{account}/{number}", "time": at, "data": data}


def history(store: TableStore) -> list[tuple[Any, ...]]:
    with store.transaction() as transaction:
        day = transaction.spell("valid_from", "timestamptz"), transaction.spell("valid_to", "timestamptz")
        found = transaction.read(
            f"SELECT account, segment, {day[0]}, {day[1]}, is_current FROM account_segment_history "
            "ORDER BY account, sequence_number"
        )
    return [
        (account, segment, day_of(begin), day_of(end), current)
        for account, segment, begin, end, current in found
    ]


def day_of(ms: int | None) -> float | None:
    return None if ms is None else (ms - START.timestamp() * 1000) / 86_400_000


def select(store: TableStore, query: str) -> list[tuple[Any, ...]]:
    with store.transaction() as transaction:
        return transaction.read(query)


def test_a_stay_ends_where_the_next_begins(store: TableStore) -> None:
    log = Log(store)
    log.write(log.record(change("acme.com", 1, None, "fits", 0)))
    log.write(log.record(change("acme.com", 2, "fits", "hot", 3)))
    assert history(store) == [("acme.com", "fits", 0, 3, False), ("acme.com", "hot", 3, None, True)]
    assert select(
        store, "SELECT account, segment, sequence_number, workflow FROM account_segment_current"
    ) == [("acme.com", "hot", 2, "outbound")]


def test_a_superseded_change_has_no_stay_and_keeps_its_event(store: TableStore) -> None:
    log = Log(store)
    log.write(
        log.record(change("acme.com", 1, None, "fits", 0)),
        log.record(change("acme.com", 2, "fits", "hot", 3)),
    )
    log.write(log.record(change("acme.com", 3, "fits", "hotter", 3, supersedes="acme.com/2")))
    assert history(store) == [("acme.com", "fits", 0, 3, False), ("acme.com", "hotter", 3, None, True)]
    assert select(store, "SELECT id, superseded_by FROM segment_event ORDER BY id") == [
        ("acme.com/1", None),
        ("acme.com/2", "acme.com/3"),
        ("acme.com/3", None),
    ]


def test_an_account_that_a_merge_ends_stays_as_none(store: TableStore) -> None:
    log = Log(store)
    log.write(log.record(change("acme.io", 1, None, "fits", 0)))
    log.write(
        log.record(change("acme.io", 2, "fits", None, 2, cause={"merged": "acme.com"}, play=None, route=None))
    )
    assert history(store) == [("acme.io", "fits", 0, 2, False), ("acme.io", "none", 2, None, True)]
    assert select(store, "SELECT segment, cause FROM account_segment_current") == [("none", "merge")]


def test_a_repeated_record_is_one_row(store: TableStore) -> None:
    log = Log(store)
    log.write(
        log.record(change("acme.com", 1, None, "fits", 0)), log.record(change("acme.com", 1, None, "fits", 0))
    )
    log.write(log.record(change("acme.com", 1, None, "fits", 0)))
    assert select(store, "SELECT count(*) FROM segment_event") == [(1,)]


def test_updated_at_rises_strictly_over_the_whole_table(store: TableStore) -> None:
    log = Log(store)
    seen: list[Any] = []
    for number in range(1, 5):
        log.write(*(log.record(change(f"{name}.com", number, None, "fits", number)) for name in "abc"))
        latest = select(
            store,
            "SELECT max(epoch) FROM (SELECT CAST(updated_at AS text) AS epoch FROM account_segment_current) AS t",
        )
        seen += latest
    assert len(set(seen)) == 4
    assert sorted(seen) == seen
    assert select(store, "SELECT count(DISTINCT updated_at) FROM account_segment_current") == [(3,)]


def test_a_batch_that_was_written_is_refused_and_changes_nothing(store: TableStore) -> None:
    log = Log(store)
    log.write(log.record(change("acme.com", 1, None, "fits", 0)))
    late = Log(store)
    with pytest.raises(PositionMoved):
        late.write(late.record(change("acme.com", 9, None, "wrong", 0)))
    assert select(store, "SELECT count(*) FROM segment_event") == [(1,)]
    with store.transaction() as transaction:
        assert read_positions(transaction, "segment-changes") == {0: log.position}


def test_what_fails_in_the_middle_leaves_nothing(store: TableStore) -> None:
    class Cut(Exception):
        pass

    def write_and_fail() -> None:
        batch = read_batch("segment-changes", 0, [Log(store).record(change("acme.com", 1, None, "fits", 0))])
        with store.transaction() as transaction:
            write_batch(transaction, batch, Position(), Position(1), run="test", now=NOW, window=WINDOW)
            raise Cut

    with pytest.raises(Cut):
        write_and_fail()
    for table in (
        "segment_event",
        "account_segment_current",
        "account_segment_history",
        "sync_log",
        "sync_position",
    ):
        assert select(store, f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"[" * 5_000,
        b"{}",
        b'{"id": 1}',
        b'{"id":"x","data":{"account":"a","sequence_number":1,"effective_at":"soon"}}',
    ],
)
def test_a_record_that_is_no_change_is_logged_and_stops_nothing(store: TableStore, value: bytes) -> None:
    log = Log(store)
    log.write(log.record(value, key="b\0ad"), log.record(change("acme.com", 1, None, "fits", 0)))
    assert select(store, "SELECT status, first_offset, primary_key FROM sync_log ORDER BY status") == [
        ("ok", 0, None),
        ("refused", 0, "b\ufffdad"),
    ]
    assert select(store, "SELECT count(*) FROM segment_event") == [(1,)]


def test_texts_of_any_kind_are_kept(store: TableStore) -> None:
    log = Log(store)
    nasty = "a'; DROP TABLE command; --\0 \u202e ☃ \\ \" $1"
    log.write(log.record(change("acme.com", 1, None, nasty, 0)))
    assert select(store, "SELECT segment FROM account_segment_current") == [(nasty.replace("\0", "\ufffd"),)]


def outcome(
    record: str,
    *,
    known: int,
    op: str = "assert",
    account: str = "acme.com",
    at: int = 1_770_000_000_000,
    **data: Any,
) -> bytes:
    return encode_fact(
        Fact(
            account=account,
            kind="outcome",
            id=f"{record}-{known}",
            source="crm",
            record=record,
            time=at,
            recorded=known,
            op=op,  # type: ignore[arg-type]
            data={"action": "won", **data},
        )
    )


def test_the_newest_revision_of_an_outcome_counts_in_any_order(store: TableStore) -> None:
    for partition, order in enumerate(([1, 2, 3], [3, 1, 2], [2, 3, 1])):
        log = Log(store, "signals", partition)
        account = f"a{partition}.com"
        for known in order:
            log.write(
                log.record(outcome("deal-1", known=known, account=account, amount=known * 10, deal="d1"))
            )
    assert select(store, "SELECT account, amount, id, is_retracted FROM outcome ORDER BY account") == [
        (f"a{partition}.com", 30.0, "deal-1-3", False) for partition in range(3)
    ]


def test_a_retracted_outcome_stays_as_a_row_that_says_so(store: TableStore) -> None:
    log = Log(store, "signals")
    log.write(log.record(outcome("r", known=1)), log.record(outcome("r", known=2, op="retract")))
    assert select(store, "SELECT record, is_retracted FROM outcome") == [("r", True)]


def test_amounts_that_no_number_holds_are_left_out(store: TableStore) -> None:
    log = Log(store, "signals")
    log.write(
        log.record(outcome("r", known=1, amount="much", opened_at=[1], amount_usd=True, person={"a": 1}))
    )
    assert select(store, "SELECT amount, amount_usd, opened_at, person FROM outcome") == [
        (None, None, None, None)
    ]


def test_other_signals_make_no_row(store: TableStore) -> None:
    log = Log(store, "signals")
    other = Fact(
        account="acme.com",
        kind="funding",
        id="1",
        source="x",
        record="1",
        time=1,
        recorded=1,
        data={"t": "outcome"},
    )
    log.write(log.record(encode_fact(other)), log.record(b'{"tick": "outcome"}'[:0]))
    assert select(store, "SELECT count(*) FROM outcome") == [(0,)]


def touch(account: str, name: str, *, day: float = 0, **more: Any) -> bytes:
    at = int(START.timestamp() * 1000 + day * 86_400_000)
    return encode_touch(
        Touch(
            touch=name,
            account=account,
            at=at,
            segment="hot",
            workflow="outbound",
            change=f"{account}/{name}",
            **more,
        )
    )


def credits_in(store: TableStore) -> list[tuple[Any, ...]]:
    return select(
        store,
        "SELECT account, record, touch, credited_by, uncredited_reason FROM outcome ORDER BY account, record",
    )


DURING = int(START.timestamp() * 1000) + 30 * 86_400_000


@pytest.mark.parametrize("first", ["touches", "signals"])
def test_an_outcome_is_credited_whichever_topic_is_written_first(store: TableStore, first: str) -> None:
    logs = {"touches": Log(store, "touches"), "signals": Log(store, "signals")}
    values = {
        "touches": touch("acme.com", "k1"),
        "signals": outcome("r", known=DURING, action="replied", at=DURING),
    }
    for topic in sorted(logs, key=lambda name: name != first):
        logs[topic].write(logs[topic].record(values[topic]))
    assert credits_in(store) == [("acme.com", "r", "k1", "last-touch", None)]


def test_a_retraction_and_a_void_take_credit_back(store: TableStore) -> None:
    touches, signals = Log(store, "touches"), Log(store, "signals")
    touches.write(touches.record(touch("acme.com", "k1")), touches.record(touch("b.com", "k2")))
    signals.write(
        signals.record(outcome("r", known=DURING, action="replied", at=DURING)),
        signals.record(outcome("r", known=DURING, action="replied", at=DURING, account="b.com")),
    )
    assert [one[2] for one in credits_in(store)] == ["k1", "k2"]
    signals.write(signals.record(outcome("r", known=DURING + 1, op="retract", at=DURING)))
    touches.write(touches.record(encode_touch(TouchVoid(account="b.com", at=DURING, change="b.com/k2"))))
    assert credits_in(store) == [
        ("acme.com", "r", None, None, None),
        ("b.com", "r", None, None, "no-touch"),
    ]
    assert select(store, "SELECT touch, is_void FROM fct_touch ORDER BY touch") == [
        ("k1", False),
        ("k2", True),
    ]


def test_after_a_merge_an_outcome_is_credited_to_a_touch_of_the_other_account(store: TableStore) -> None:
    changes, touches, signals = Log(store), Log(store, "touches"), Log(store, "signals")
    touches.write(touches.record(touch("acme.com", "k1")))
    signals.write(signals.record(outcome("r", known=DURING, action="replied", at=DURING, account="acme.io")))
    assert credits_in(store) == [("acme.io", "r", None, None, "no-touch")]
    changes.write(
        changes.record(change("acme.com", 1, None, "hot", 0)),
        changes.record(change("acme.io", 1, None, "hot", 0)),
        changes.record(
            change("acme.io", 2, "hot", None, 40, cause={"merged": "acme.com"}, route=None, play=None)
        ),
    )
    assert credits_in(store) == [("acme.io", "r", "k1", "last-touch", None)]
    changes.write(changes.record(change("acme.io", 3, None, "hot", 41, cause={"unmerged": "acme.com"})))
    assert credits_in(store) == [("acme.io", "r", None, None, "no-touch")]


def test_tables_have_to_be_there_first(make: Make) -> None:
    fresh = make()
    with pytest.raises(NotMigrated) as caught:
        fresh.open("acme", 2)
    fresh.close()
    assert "resegment tables migrate" in str(caught.value.remedy)


def test_migrating_twice_changes_nothing(make: Make) -> None:
    fresh = make()
    assert fresh.migrate() == ["tables"]
    assert fresh.migrate() == []
    fresh.close()


def test_tables_belong_to_one_prefix(make: Make, store: TableStore) -> None:
    with pytest.raises(TablesOfAnotherPrefix):
        store.open("other", 2)


def test_one_process_writes_at_a_time() -> None:
    with running_postgres() as server:
        first = opened(lambda: Postgres(server.url))
        second = Postgres(server.url)
        with pytest.raises(TablesBusy):
            second.open("acme", 2)
        first.close()
        second.open("acme", 2)
        second.close()


SEGMENTS = st.sampled_from(["fits", "hot", "cold", "none-yet"])
Move = tuple[str, str, int, bool]
MOVES = st.lists(st.tuples(st.sampled_from("abc"), SEGMENTS, st.integers(0, 2), st.booleans()), max_size=25)


def play_moves(moves: Sequence[Move]) -> tuple[list[dict[str, Any]], dict[str, list[tuple[str, int]]]]:
    """Return the changes that the moves are, and the stays of each account as a naive reader says them."""
    changes: list[dict[str, Any]] = []
    stays: dict[str, list[tuple[str, int]]] = {}
    numbers: dict[str, int] = {}
    for name, to, later, supersedes in moves:
        account = f"{name}.com"
        mine = stays.setdefault(account, [])
        day = (mine[-1][1] if mine else 0) + later
        number = numbers[account] = numbers.get(account, 0) + 1
        more = {}
        if supersedes and number > 1 and later == 0:
            more = {"supersedes": f"{account}/{number - 1}"}
        if mine and mine[-1][1] == day:
            mine.pop()
        mine.append((to, day))
        changes.append(change(account, number, None, to, day, **more))
    return changes, stays


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, cuts=st.lists(st.integers(1, 6), min_size=1))
def test_history_equals_a_naive_reader_however_batches_fall(
    make: Make, moves: list[Move], cuts: list[int]
) -> None:
    changes, stays = play_moves(moves)
    store = opened(make)
    log = Log(store)
    records = [log.record(one) for one in changes]
    sizes = iter(cuts * (len(records) + 1))
    while records:
        size = next(sizes)
        log.write(*records[:size])
        records = records[size:]
    expected = []
    for account in sorted(stays):
        mine = stays[account]
        ends = [begin for _, begin in mine[1:]] + [None]
        expected += [
            (account, segment, begin, end, end is None)
            for (segment, begin), end in zip(mine, ends, strict=True)
        ]
    found = history(store)
    store.close()
    assert found == expected
    for (account, _, _, end, _), (following, _, begin, _, _) in pairwise(found):
        assert account != following or end == begin


def test_nothing_of_a_forgotten_account_stays_and_what_comes_after_the_undo_does(store: TableStore) -> None:
    changes, touches, signals = Log(store), Log(store, "touches"), Log(store, "signals")
    for name in ("acme.com", "b.com"):
        changes.write(changes.record(change(name, 1, None, "fits", 0), name))
        touches.write(touches.record(touch(name, f"touch of {name}"), name))
        signals.write(signals.record(outcome(f"outcome of {name}", known=1, account=name), name))
    ended = change("acme.com", 2, "fits", None, 1, cause={"forgotten": "account"}, route=None, play=None)
    changes.write(changes.record(change("acme.com", 3, None, "old", 0.5)), changes.record(ended))
    marker = TouchesForgotten(account="acme.com", at=1_770_000_000_000)
    touches.write(touches.record(encode_touch(marker)))
    step = encode_step(Step(step="forget", op=1, account="acme.com"))
    signals.write(RecordedMessage(signals.offset, 1_770_000_000_000, None, step, [("identity", b"")]))
    for table in ("fct_touch", "outcome"):
        assert select(store, f"SELECT account FROM {table}") == [("b.com",)]
    gone, lift = {"acme.com"}, encode_step(Step(step="lift", op=2, account="acme.com"))
    late = signals.record(outcome("late", known=2))
    lifted = RecordedMessage(signals.offset, 1_770_000_000_000, None, lift, [("identity", b"")])
    after = RecordedMessage(signals.offset + 1, 1_770_000_000_000, b"acme.com", outcome("after", known=3))
    batch = read_batch("signals", 0, [late, lifted, after], gone)
    assert ([row["record"] for row in batch.rows["outcome"]], gone) == (["after"], set())
    assert select(store, "SELECT account, cause FROM segment_event ORDER BY account") == [
        ("acme.com", "forget"),
        ("b.com", "event"),
    ]
    assert select(store, "SELECT account, segment FROM account_segment_current ORDER BY account") == [
        ("acme.com", "none"),
        ("b.com", "fits"),
    ]
    changes.write(changes.record(change("acme.com", 4, None, "fits", 2)))
    assert ("acme.com", "fits") in select(store, "SELECT account, segment FROM account_segment_current")
