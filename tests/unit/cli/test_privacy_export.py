"""`privacy export` refuses what several persons may be called, before it connects to anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from resegment.cli import build


@pytest.mark.parametrize(
    "words",
    [
        ["--person", "Ann Lee"],
        ["--person", "ann@acme.com", "--person", "Ann"],
        ["acme.com", "--person", "Ann"],
        ["acme.com", "--person", "+1 555 0100"],
    ],
)
def test_what_several_persons_may_be_called_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(build(), ["privacy", "export", *words])
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert f"several persons may be called '{words[-1]}'" in said
    assert "Give an e-mail or LinkedIn address, or an account and a full name." in said


def test_nothing_to_export_is_refused() -> None:
    done = CliRunner().invoke(build(), ["privacy", "export"])
    assert done.exit_code == 2
    assert "nothing to export" in done.stderr
