"""Whatever was written and synced is there at the next start, at the same offsets, however the last run ended."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.entries import OffsetsCommitted
from resegment.embedded.journal.files import JournalDamaged, JournalFile, path_of
from resegment.embedded.journal.journal import open_journal
from resegment.embedded.journal.packing import pack_file
from resegment.embedded.journal.writer import DiskFull, JournalFailed
from tests.unit.embedded.journal.records import Log, make_batch, read_back, roll, write

TOPICS = st.sampled_from(["signals", "triggers.funding"])
WRITE = st.tuples(
    st.just("write"), TOPICS, st.integers(0, 2), st.lists(st.binary(max_size=9), min_size=1, max_size=4)
)
STEPS = st.lists(WRITE | st.just(("roll",)) | st.just(("pack",)) | st.just(("start again",)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_every_start_finds_what_was_written(steps: list[Any]) -> None:
    expected: Log = {}
    with TemporaryDirectory() as place:
        folder = Path(place)
        journal = open_journal(folder)
        closed: list[int] = []
        for step in steps:
            match step:
                case ("write", topic, partition, values):
                    write(journal, (topic, partition, make_batch(values)))
                    held = expected.setdefault((topic, partition), [])
                    held += list(enumerate(values, len(held)))
                case ("roll",):
                    closed.append(roll(journal))
                case ("pack",) if closed:
                    number = closed.pop()
                    pack_file(JournalFile(number, path_of(folder, number)), journal.catalog, 2_000)
                case ("start again",):
                    journal.writer.close()
                    journal = open_journal(folder)
        journal.writer.close()
        log, catalog = read_back(folder)
        assert log == expected
        assert {
            (catalog.topics[number].name, partition): end for (number, partition), end in catalog.ends.items()
        } == {place: len(held) for place, held in expected.items()}


def test_a_torn_end_is_cut_off_and_written_over(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"kept"])))
    whole = path_of(tmp_path, 1).stat().st_size
    write(journal, ("signals", 0, make_batch([b"torn"])))
    journal.writer.close()
    os.truncate(path_of(tmp_path, 1), whole + 40)

    journal = open_journal(tmp_path)
    assert path_of(tmp_path, 1).stat().st_size == whole
    write(journal, ("signals", 0, make_batch([b"next"])))
    journal.writer.close()
    assert read_back(tmp_path)[0] == {("signals", 0): [(0, b"kept"), (1, b"next")]}


def test_damage_is_an_error_that_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"first"])))
    at = path_of(tmp_path, 1).stat().st_size - 5
    write(journal, ("signals", 0, make_batch([b"second"])))
    journal.writer.close()
    with path_of(tmp_path, 1).open("r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff")

    with pytest.raises(JournalDamaged, match=r"00000001\.log") as raised:
        open_journal(tmp_path)
    assert raised.value.remedy is not None
    assert "backup" in raised.value.remedy
    assert path_of(tmp_path, 1).stat().st_size > at  # nothing was cut off


def test_a_closed_file_must_be_whole(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"first"])))
    roll(journal)
    journal.writer.close()
    os.truncate(path_of(tmp_path, 1), path_of(tmp_path, 1).stat().st_size - 1)
    with pytest.raises(JournalDamaged, match="ends in the middle"):
        open_journal(tmp_path)


def test_a_next_file_that_was_not_begun_does_not_count(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"first"])))
    journal.writer.close()
    path_of(tmp_path, 2).write_bytes(b"RJL1 and no more")

    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"second"])))
    journal.writer.close()
    assert read_back(tmp_path)[0] == {("signals", 0): [(0, b"first"), (1, b"second")]}


def test_a_crash_while_packing_leaves_one_file_of_the_two(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"first"])))
    number = roll(journal)
    journal.writer.close()
    before = path_of(tmp_path, number).read_bytes()
    path_of(tmp_path, number, ".packing").write_bytes(b"half")
    assert read_back(tmp_path)[0] == {("signals", 0): [(0, b"first")]}
    assert not path_of(tmp_path, number, ".packing").exists()

    pack_file(JournalFile(number, path_of(tmp_path, number)), journal.catalog, 2_000)
    path_of(tmp_path, number).write_bytes(before)  # packed, and not deleted yet
    assert read_back(tmp_path)[0] == {("signals", 0): [(0, b"first")]}
    assert not path_of(tmp_path, number).exists()


def test_a_full_disk_leaves_nothing_of_a_group_and_the_next_one_may_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"kept"])))
    size = path_of(tmp_path, 1).stat().st_size
    real = os.pwrite

    def write_half(file: int, data: bytes, at: int) -> int:
        real(file, data[: len(data) // 2], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", write_half)
    with pytest.raises(DiskFull, match="is full"):
        write(journal, ("signals", 0, make_batch([b"refused"])), ("other", 1, make_batch([b"refused"])))
    assert path_of(tmp_path, 1).stat().st_size == size
    with pytest.raises(DiskFull):
        roll(journal)
    monkeypatch.undo()

    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 9, 9, 9, 9, 9, 9, 0, 255)))
    with pytest.raises(DiskFull):  # nine blocks would do for this one, but not for what follows from it
        write(journal, ("signals", 0, make_batch([b"too early"])))
    monkeypatch.undo()

    write(journal, ("other", 1, make_batch([b"there is room"])), ("signals", 0, make_batch([b"again"])))
    journal.writer.close()
    assert read_back(tmp_path)[0] == {
        ("signals", 0): [(0, b"kept"), (1, b"again")],
        ("other", 1): [(0, b"there is room")],
    }


def test_a_disk_that_fails_ends_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"kept"])))

    def fail(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(JournalFailed, match="Input/output error"):
        write(journal, ("signals", 0, make_batch([b"lost"])))
    monkeypatch.undo()
    journal.writer.close()
    assert read_back(tmp_path)[0] == {("signals", 0): [(0, b"kept")]}


def test_retention_leaves_the_newest_batch_and_what_the_files_said_of_topics_and_offsets(
    tmp_path: Path,
) -> None:
    journal = open_journal(tmp_path)
    draft = Draft(journal.catalog)
    draft.make_topic("short", 4, {"retention.ms": "1000"})
    draft.append("short", 1, 1_000, [make_batch([b"a", b"b"])])
    draft.add(OffsetsCommitted("readers", [("short", 1, 2)]))
    journal.writer.append(draft.parts)
    draft.apply()
    first = JournalFile(1, path_of(tmp_path, roll(journal)))
    assert pack_file(first, journal.catalog, 9_000)  # old, and still the newest
    write(journal, ("short", 1, make_batch([b"c"])), now=8_500)
    assert pack_file(first._replace(path=path_of(tmp_path, 1, ".packed")), journal.catalog, 9_000) is False
    journal.writer.close()

    log, catalog = read_back(tmp_path)
    (topic,) = catalog.topics.values()
    assert log == {("short", 1): [(2, b"c")]}
    assert (topic.name, topic.partitions, topic.configs) == ("short", 4, {"retention.ms": "1000"})
    assert catalog.ends == {(topic.number, 1): 3}
    assert catalog.offsets == {"readers": {("short", 1): 2}}


def test_files_that_are_left_count_where_the_last_one_is_moved_away(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("signals", 0, make_batch([b"first"])))
    number = roll(journal)
    write(journal, ("signals", 0, make_batch([b"moved away"])))
    pack_file(JournalFile(number, path_of(tmp_path, number)), journal.catalog, 2_000)
    journal.writer.close()
    path_of(tmp_path, number + 1).unlink()

    log, catalog = read_back(tmp_path)
    assert log == {("signals", 0): [(0, b"first")]}
    assert list(catalog.ends.values()) == [2]  # the next record does not get the offset of one that was seen


def test_a_topic_that_was_deleted_and_made_again_begins_empty(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    write(journal, ("again", 0, make_batch([b"old"])))
    roll(journal)
    draft = Draft(journal.catalog)
    draft.delete_topic("again")
    draft.append("again", 0, 1_000, [make_batch([b"new"])])
    journal.writer.append(draft.parts)
    draft.apply()
    journal.writer.close()
    assert read_back(tmp_path)[0] == {("again", 0): [(0, b"new")]}


def test_packing_makes_many_small_batches_few_and_keeps_the_special_ones(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(300):
        write(journal, ("signals", 0, make_batch([b"value %d" % number * 20])))
    write(journal, ("signals", 0, make_batch([b"compressed"], compression=1)))
    broken = make_batch([b"broken"])[:-1] + b"!"
    write(journal, ("signals", 0, broken), ("signals", 0, make_batch([b"last"])))
    before, _ = read_back(tmp_path)
    number = roll(journal)
    journal.writer.close()
    size = path_of(tmp_path, number).stat().st_size
    assert pack_file(JournalFile(number, path_of(tmp_path, number)), journal.catalog, 2_000)

    assert read_back(tmp_path)[0] == before
    packed = path_of(tmp_path, number, ".packed")
    assert packed.stat().st_size < size / 10
    written = packed.stat().st_ino
    assert pack_file(JournalFile(number, packed), journal.catalog, 2_000)
    assert packed.stat().st_ino == written  # nothing has expired: it is not written again
    journal = open_journal(tmp_path)
    journal.writer.close()
    assert [(one.base, one.after) for one in journal.held[0].batches] == [
        (0, 300),
        (300, 301),
        (301, 302),
        (302, 303),
    ]
