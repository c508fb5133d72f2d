"""`resegment prefix delete` refuses what may be a slip, before it asks any server."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from resegment.cli import build


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["*"], "letters, digits"),
        (["live.1"], "letters, digits"),
        (["trial", "--prefix", "live", "--yes"], "names another prefix"),
        ([], "Missing argument"),
    ],
)
def test_a_prefix_that_may_be_a_slip_is_refused(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(build(), ["prefix", "delete", *arguments])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
