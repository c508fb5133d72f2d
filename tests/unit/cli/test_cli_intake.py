"""`resegment intake` before it serves: new keys, and what it refuses to serve."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.http.intake.access import read_access


def test_a_new_key_is_shown_once_and_its_entry_has_the_hash_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(build(), ["intake", "--new-key", "scraper"])
    assert result.exit_code == 0
    key = result.stderr.strip().rpartition(" ")[2]
    assert key not in result.stdout
    file = tmp_path / "keys.yaml"
    file.write_text("keys:\n" + result.stdout)
    found = read_access(file).find(key)
    assert found is not None
    assert found.name == "scraper"


def test_it_does_not_serve_everybody_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEGMENT_HTTP_HOST", "0.0.0.0")  # noqa: S104  # what is refused
    result = CliRunner().invoke(build(), ["intake"])
    assert result.exit_code == 2
    assert "without keys" in result.stderr
