"""Lines are kept in memory or in a file, and written in order."""

import io
import random
import tempfile
from pathlib import Path

import pytest

from resegment.cli.replaying.lines import LineStore, NoRoomForLines


@pytest.mark.parametrize("in_memory", [0, 50, 1_000_000])
def test_lines_are_written_in_the_order_of_instant_account_and_number(in_memory: int) -> None:
    draw = random.Random(1)
    lines = [
        (draw.randrange(5), f"a{draw.randrange(9)}", number, f"line {number}\n".encode())
        for number in range(300)
    ]
    store, output = LineStore(in_memory), io.BytesIO()
    for first in range(0, 300, 7):
        store.add(lines[first : first + 7])
    store.write(output)
    assert output.getvalue() == b"".join(line for *_, line in sorted(lines))
    again = io.BytesIO()
    store.write(again)
    assert again.getvalue() == b""


def test_no_room_for_the_file_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(NoRoomForLines) as raised:
        LineStore(in_memory=0).add([(1, "a", 1, b"line\n")])
    assert "TMPDIR" in str(raised.value.remedy)
