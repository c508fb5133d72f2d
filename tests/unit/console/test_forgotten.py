"""What `verify --forgotten` prints."""

from __future__ import annotations

import orjson
import pytest

from resegment.console.forgotten import print_left
from resegment.streams.forgetting.checking import Left

LEFT = [
    Left("acme.com", False, "backups", 1_770_000_000_000),
    Left("b.com", True, "keys of it are not destroyed", is_wrong=True),
]


def test_each_account_is_named_once_with_what_is_left_and_until_when(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert print_left(LEFT[:1], as_json=False) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("acme.com:\n  backups: until Feb 2, 2026")


def test_what_should_be_gone_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_left(LEFT, as_json=True) == 1
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["account"], one["until"], one["wrong"]) for one in lines] == [
        ("acme.com", "2026-02-02T02:40:00Z", False),
        ("b.com", None, True),
    ]
    assert print_left(LEFT, as_json=False) == 1
    assert "a person of b.com:\n  wrong: keys of it are not destroyed" in capsys.readouterr().out
