"""Files that a segments file names: only regular ones of a size that can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resegment.sources import segments
from resegment.sources.segments import read_list_file


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    place = tmp_path / "pipe"
    os.mkfifo(place)
    with pytest.raises(OSError, match="not a regular file"):
        read_list_file(place)


def test_a_device_is_not_read() -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_list_file(Path("/dev/zero"))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "list.txt"
    place.write_text("acme.com\n")
    assert read_list_file(place) == b"acme.com\n"
    monkeypatch.setattr(segments, "MAX_LIST_BYTES", 4)
    with pytest.raises(OSError, match="larger than"):
        read_list_file(place)
