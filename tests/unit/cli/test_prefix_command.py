"""`resegment prefix delete` refuses what may be a slip, before it asks any server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.cli.operations import prefix
from resegment.state.redis.whole_prefix import count_keys


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


def test_names_of_keys_that_others_wrote_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def kinds(*_: object, **__: object) -> dict[str, int]:
        return {"accounts": 2, "\x1b]52;c;ZXZpbA==\x07": 1}

    monkeypatch.setattr(prefix, "_delete", kinds)
    result = CliRunner().invoke(build(), ["prefix", "delete", "trial"])
    assert result.exit_code == 0
    assert "accounts: 2 keys" in result.stdout
    assert r"\x1b]52;c;ZXZpbA==\x07: 1 key" in result.stdout


async def test_keys_whose_names_are_not_text_are_counted() -> None:
    class Client:
        async def scan_iter(self, **_: object) -> AsyncIterator[bytes]:
            yield b"rs:{trial.0}:\xff\xfe"

    client: Any = Client()
    assert await count_keys(client, "trial") == {"\ufffd\ufffd": 1}
