from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from resegment.agents.batch import RecordedMessage
from resegment.archive import archive as archives
from resegment.archive.archive import Archive, ArchiveDamaged, NoArchive
from resegment.archive.lease import ArchiveBusy, Lease, LeaseLost
from resegment.archive.storage import ArchiveUnusable, Storage
from resegment.schemas.fact import Fact, encode_fact

DAY = 86_400_000
START = 1_772_323_200_000  # 2026-03-01


def fact(offset: int, at: int | None = None) -> RecordedMessage:
    account = f"c{offset % 7}.com"
    value = encode_fact(
        Fact(
            account=account,
            kind="funding",
            id=f"e{offset}",
            source="/test",
            record=f"r{offset}",
            time=START + offset,
            recorded=START + offset + 1,
            data={"amount": offset},
        )
    )
    return RecordedMessage(
        offset, START + offset * 3_600_000 if at is None else at, account.encode(), value, ()
    )


def writer(folder: Path, partitions: Sequence[int] = (0,)) -> tuple[Archive, dict[int, Any]]:
    archive = Archive.prepare(Storage(str(folder)), "shop", "wall", 8)
    lease = Lease(archive.storage)
    lease.take()
    try:
        return archive, archive.take_over("signals", partitions, lease.number)
    finally:
        lease.give_back()


def offsets_by_duckdb(folder: Path) -> list[int]:
    if not list(folder.glob("signals/**/*.parquet")):
        return []
    rows = duckdb.sql(f"select log_offset from read_parquet('{folder}/signals/**/*.parquet')").fetchall()
    return sorted(row[0] for row in rows)


def offsets_by_polars(folder: Path) -> list[int]:
    if not list(folder.glob("signals/**/*.parquet")):
        return []
    found = pl.scan_parquet(f"{folder}/signals/**/*.parquet", hive_partitioning=True)
    return sorted(found.select("log_offset").collect()["log_offset"])


def test_an_archive_gives_back_the_records_as_they_were(tmp_path: Path) -> None:
    records = [
        *map(fact, range(40)),
        RecordedMessage(40, START, None, None, [("tick", b"")]),
        RecordedMessage(41, -1, b"\xff\x00", b"no json", [("a", b"\x00"), ("a", b"2")]),
        RecordedMessage(44, 1 << 60, b"", b"", ()),
        fact(45, START - 40 * DAY),
    ]
    archive, held = writer(tmp_path)
    manifest = archive.append(archive.append(held[0], records[:7]), records[7:])
    plain = [one._replace(headers=list(one.headers)) for one in records]
    assert list(itertools.chain(*archive.records(manifest))) == plain
    assert list(itertools.chain(*archive.records(manifest, 41))) == plain[41:]
    assert (manifest.next_offset, manifest.rows) == (46, len(records))


def test_queries_find_typed_columns_by_day_and_partition(tmp_path: Path) -> None:
    archive, held = writer(tmp_path, [0, 3])
    archive.append(held[0], [fact(one) for one in range(60)])
    archive.append(held[3], [fact(one) for one in range(100, 110)])
    files = f"{tmp_path}/signals/**/*.parquet"
    found = duckdb.sql(
        "select date::varchar, partition, count(*), max(event_time)::varchar, sum((data->>'amount')::int) "
        f"from read_parquet('{files}', hive_partitioning = true) "
        "where type = 'fact' and account <> 'c0.com' group by all order by all"
    ).fetchall()
    assert [row[:3] for row in found] == [
        ("2026-03-01", 0, 20),
        ("2026-03-02", 0, 21),
        ("2026-03-03", 0, 10),
        ("2026-03-05", 3, 9),
    ]
    assert found[0][3].startswith("2026-03-01 00:00:00.023")
    assert sum(row[4] for row in found) == sum(one for one in [*range(60), *range(100, 110)] if one % 7)
    by_polars = (
        pl.scan_parquet(files, hive_partitioning=True)
        .filter(pl.col("date") == pl.date(2026, 3, 2), pl.col("kind") == "funding")
        .collect()
    )
    assert by_polars["log_offset"].sort().to_list() == list(range(24, 48))
    assert by_polars["log_time"].dtype == pl.Datetime("ms", "UTC")


class Killed(Exception):
    """What stands for the end of the process."""


class Mortal(Storage):
    """Storage whose process is killed before its nth write or removal."""

    def __init__(self, path: str, lives: int) -> None:
        super().__init__(path)
        self.lives = lives

    def create(self, name: str, data: bytes) -> bool:
        self._live()
        return super().create(name, data)

    def delete(self, names: Any) -> None:
        for name in names:
            self._live()
            super().delete([name])

    def _live(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed


def batches(size: int) -> Iterator[list[RecordedMessage]]:
    """Batches over several days, whose offsets lie among each other by day."""
    for some in (range(start, min(start + size, 30)) for start in range(0, 30, size)):
        yield [fact(one, START + one % 3 * DAY) for one in some]


def archive_all(storage: Storage, size: int = 10) -> None:
    """Archive the log of thirty records, from where the archive ends, so many at a time."""
    archive = Archive.prepare(storage, "shop", "wall", 8)
    lease = Lease(storage)
    lease.take()
    manifest = archive.take_over("signals", [0], lease.number)[0]
    for batch in batches(size):
        left = [one for one in batch if one.offset >= manifest.next_offset]
        if left:
            manifest = archive.append(manifest, left)
    lease.give_back()


def test_wherever_an_archiver_is_killed_each_record_is_in_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lease, "_is_held", lambda self, holder: False)  # its process is gone
    monkeypatch.setattr(archives, "SEAL_AFTER", 4)
    kills = 0
    for lives in itertools.count():
        folder = tmp_path / str(lives)
        try:
            archive_all(Mortal(str(folder), lives))
        except Killed:
            kills += 1
            seen = offsets_by_duckdb(folder)
            assert len(seen) == len(set(seen))
            archive_all(Storage(str(folder)), 14)  # what comes together differs from run to run
            archive = Archive.open(Storage(str(folder)))
            held = archive.take_over("signals", [0], 99)[0]
            assert [one.offset for found in archive.records(held) for one in found] == list(range(30))
        else:
            assert lives > 20
            break
        finally:
            assert offsets_by_duckdb(folder) == offsets_by_polars(folder) == list(range(30))
    archive = Archive.open(Storage(str(folder)))
    manifest = archive.manifests("signals")[0]
    assert manifest.sealed
    assert [one.offset for found in archive.records(manifest) for one in found] == list(range(30))
    assert kills > 20


def test_an_archiver_that_was_overtaken_can_add_nothing(tmp_path: Path) -> None:
    slow, slow_held = writer(tmp_path)
    fast, fast_held = writer(tmp_path)
    manifest = fast.append(fast_held[0], [fact(0)])
    with pytest.raises(LeaseLost):
        slow.append(slow_held[0], [fact(0), fact(1)])
    fast.append(manifest, [fact(1), fact(2)])
    assert offsets_by_duckdb(tmp_path) == [0, 1, 2]


def test_a_file_that_an_overtaken_archiver_wrote_is_replaced(tmp_path: Path) -> None:
    slow, slow_held = writer(tmp_path)
    fast, fast_held = writer(tmp_path)
    with pytest.raises(LeaseLost):
        slow.append(slow_held[0], [fact(0), fact(1), fact(2)])
    fast.append(fast_held[0], [fact(0)])
    assert offsets_by_duckdb(tmp_path) == [0]


def test_two_archivers_at_once_are_refused(tmp_path: Path) -> None:
    first, second = Lease(Storage(str(tmp_path))), Lease(Storage(str(tmp_path)))
    first.take()
    with pytest.raises(ArchiveBusy, match=r"process .* is writing to the archive"):
        second.take()
    first.renew()
    with pytest.raises(ArchiveBusy):
        second.take()
    first.give_back()
    second.take()
    with pytest.raises(LeaseLost):
        first.renew()


def test_the_right_of_a_silent_archiver_ends(tmp_path: Path) -> None:
    now = 1000.0
    first = Lease(Storage(str(tmp_path)), wall=lambda: now)
    second = Lease(Storage(str(tmp_path)), wall=lambda: now)
    first.take()
    now += 29
    with pytest.raises(ArchiveBusy):
        second.take()
    now += 2
    second.take()
    assert second.number > first.number


def test_a_file_that_is_gone_or_was_changed_is_reported(tmp_path: Path) -> None:
    archive, held = writer(tmp_path)
    archive.append(held[0], [fact(0)])
    (file,) = tmp_path.glob("signals/**/*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(ArchiveDamaged, match="100 bytes instead of"):
        writer(tmp_path)
    file.unlink()
    with pytest.raises(ArchiveDamaged, match="is missing"):
        writer(tmp_path)


def test_an_archive_belongs_to_one_prefix(tmp_path: Path) -> None:
    writer(tmp_path)
    with pytest.raises(ArchiveUnusable, match="prefix shop"):
        Archive.prepare(Storage(str(tmp_path)), "other", "wall", 8)
    with pytest.raises(ArchiveUnusable, match=r"on the wall clock, and this .* on the clock of the facts"):
        Archive.prepare(Storage(str(tmp_path)), "shop", "facts", 8)
    with pytest.raises(NoArchive):
        Archive.open(Storage(str(tmp_path / "elsewhere")))
    with pytest.raises(ArchiveUnusable):
        Storage("nosuchfilesystem://bucket/x")


def test_changes_and_commands_have_columns_of_their_own(tmp_path: Path) -> None:
    def sent(kind: str, data: dict[str, Any]) -> bytes:
        envelope = {
            "specversion": "1.0",
            "id": "i1",
            "source": "/resegment",
            "type": kind,
            "subject": "acme.com",
        }
        return json.dumps({**envelope, "time": "2026-03-01T00:00:00Z", "data": data}).encode()

    change = {
        "from": None,
        "to": "in-market",
        "sequence_number": 1,
        "effective_at": "2026-03-01T00:00:00Z",
        "cause": {"events": ["e1"]},
        "route": {"workflow": "sales"},
    }
    command = {"action": "enroll", "workflow": "sales", "owner": "jo", "cause": {"change": "i0"}}
    archive = Archive.prepare(Storage(str(tmp_path)), "shop", "wall", 8)
    for topic, value in (
        ("segment-changes", sent("gtm.segment-change.v1", change)),
        ("workflow-commands", sent("gtm.workflow-command.v1", command)),
        ("touches", sent("gtm.touch.v1", {"says": "touch", "touch": "k", "arm": "holdout", "version": 3})),
        ("definitions", b'{"type": "version", "number": 3, "at": 5, "author": "jo"}'),
        ("audit-log", sent("gtm.audit.v1", {"action": "apply", "actor": "jo", "stage": "done"})),
        ("routing-events", b'{"type": "review", "account": "acme.com", "at": 5}'),
        ("outcomes", sent("gtm.outcome.v1", {"action": "replied", "idempotency_key": "k"})),
    ):
        archive.append(archive.take_over(topic, [0], 1)[0], [RecordedMessage(0, START, None, value, ())])

    def query(columns: str, topic: str) -> tuple[Any, ...]:
        (row,) = duckdb.sql(
            f"select {columns} from read_parquet('{tmp_path}/{topic}/**/*.parquet')"
        ).fetchall()
        return tuple(row)

    assert query("account, from_segment, to_segment, workflow, cause_events", "segment-changes") == (
        "acme.com",
        None,
        "in-market",
        "sales",
        ["e1"],
    )
    assert query("account, action, owner, change", "workflow-commands") == ("acme.com", "enroll", "jo", "i0")
    assert query("account, says, touch, arm, version", "touches") == ("acme.com", "touch", "k", "holdout", 3)
    assert query("type, version, author", "definitions") == ("version", 3, "jo")
    assert query("action, actor, stage, account", "audit-log") == ("apply", "jo", "done", None)
    assert query("type, account", "routing-events") == ("review", "acme.com")
    assert query("account, action, idempotency_key", "outcomes") == ("acme.com", "replied", "k")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\xff",
        b"[]",
        b'{"via": [[]]}',
        b'{"via": [1]}',
        b'{"via": [{}]}',
        b'{"via": ["", ["a", 1]]}',
        b'{"kind": "x", "op": {"a": 1}, "time": 1e99, "recorded": 99999999999999999999}',
        b'{"type": 1, "data": {"cause": {"events": [1], "definition": 99999999999999999999}}}',
        b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_record_that_nobody_expects_is_archived_to_the_byte(tmp_path: Path, value: bytes | None) -> None:
    archive = Archive.prepare(Storage(str(tmp_path)), "shop", "wall", 8)
    record = RecordedMessage(0, START, b"\xff", value, [("", None), ("ce_type", b"\xff")])
    for topic in archives.TOPICS:
        held = archive.take_over(topic, [0], 1)[0]
        manifest = archive.append(held, [record])
        assert [list(one) for one in archive.records(manifest)] == [[record]], topic
