"""The process may die before any call that writes: what was acknowledged is there at the next start, and nothing twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resegment.embedded.journal.files import JournalFile, path_of
from resegment.embedded.journal.journal import open_journal
from resegment.embedded.journal.packing import pack_file
from tests.unit.embedded.journal.records import Log, make_batch, read_back, roll, write

CALLS = ("pwrite", "fdatasync", "fsync", "open", "ftruncate", "rename", "replace", "unlink")


class Crash(BaseException):
    """The process is gone."""


@contextmanager
def dying_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Die at the call with this number; a write is torn in the middle. Yields what counts the calls."""
    calls = count(1)
    made = 0

    def patch(name: str) -> None:
        real = getattr(os, name)

        def call(*given: Any, **named: Any) -> Any:
            nonlocal made
            made = next(calls)
            if made >= number:
                if name == "pwrite" and made == number:
                    real(given[0], given[1][: len(given[1]) // 2], given[2])
                raise Crash
            return real(*given, **named)

        monkeypatch.setattr(os, name, call)

    for name in CALLS:
        patch(name)
    try:
        yield lambda: made
    finally:
        monkeypatch.undo()


class Run:
    """Writes, begins next files, packs them, and starts again; notes what was acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: Log = {}
        self.last: tuple[str, bytes] | None = None

    def send(self, journal: Any, topic: str, value: bytes) -> None:
        self.last = topic, value
        write(journal, (topic, 0, make_batch([value])))
        held = self.acknowledged.setdefault((topic, 0), [])
        held.append((len(held), value))
        self.last = None

    def go(self) -> None:
        journal = open_journal(self.folder)
        for turn in range(2):
            for number in range(2):
                self.send(journal, "signals", b"%d.%d" % (turn, number))
                self.send(journal, "changes", b"%d.%d" % (turn, number))
            closed = roll(journal)
            self.send(journal, "signals", b"%d after" % turn)
            pack_file(JournalFile(closed, path_of(self.folder, closed)), journal.catalog, 2_000)
        journal.writer.close()
        journal = open_journal(self.folder)
        self.send(journal, "changes", b"at last")
        journal.writer.close()

    def may_have(self) -> list[Log]:
        """Return what a start may find: what was in progress may be there, too."""
        if self.last is None:
            return [self.acknowledged]
        topic, value = self.last
        held = self.acknowledged.get((topic, 0), [])
        return [self.acknowledged, self.acknowledged | {(topic, 0): [*held, (len(held), value)]}]


def test_a_crash_at_any_call_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dying_at(1_000_000, monkeypatch) as calls:
        Run(tmp_path / "whole").go()
        total = calls()
    assert total > 40
    for number in range(1, total + 1):
        run = Run(tmp_path / str(number))
        with dying_at(number, monkeypatch), pytest.raises(Crash):
            run.go()
        run.folder.mkdir(exist_ok=True)
        found, _ = read_back(run.folder)
        assert found in run.may_have(), f"call {number}"
        assert read_back(run.folder)[0] == found, f"call {number}: another start finds something else"
