"""`resegment sources scrape` on stored answers, and what it refuses to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.sources.boards.watching import BoardState, RoleState
from resegment.sources.state import SourceState, pack_boards, unpack_boards


def run(*arguments: str) -> tuple[int, list[str], str]:
    result = CliRunner().invoke(build(), ["sources", "scrape", *arguments])
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_stored_answers_are_compared_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for day, jobs in enumerate(([1, 2], [1], [1])):
        answer = {
            "company": "acme",
            "fetched_at": f"2026-01-0{day + 1}T00:00:00Z",
            "jobs": [{"id": number, "title": "Account Executive"} for number in jobs],
        }
        (folder / f"{day}.json").write_text(json.dumps(answer))
    options = (
        "greenhouse",
        "--from",
        str(folder),
        "--account",
        "acme.com",
        "--state",
        str(tmp_path / "s.json"),
    )
    code, output, error = run(*options)
    assert code == 0, error
    found = [(one["data"]["change"], one["data"]["job"]) for one in map(json.loads, output)]
    assert found == [("opened", "1"), ("opened", "2"), ("closed", "2")]
    assert run(*options)[:2] == (1, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("greenhouse",), "pass the names of boards"),
        (("greenhouse", "acme", "--from", "x"), "pass the names of boards"),
        (("hubspot", "acme"), "none of"),
        (("greenhouse", "acme", "--at", "2026-01-01"), "it is for files"),
        (("greenhouse", "acme", "--live", "--state", "x"), "in one place"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], words: str) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert words in " ".join(error.replace("│", " ").split())


def test_what_is_known_of_boards_is_the_same_after_it_was_kept() -> None:
    state = SourceState(
        boards={
            "greenhouse/acme": BoardState(5, {"1": RoleState(open=True, data={"job": "1"})}),
            "lever/b": BoardState(6),
        },
        etags={"greenhouse/acme": '"x"'},
    )
    assert unpack_boards(pack_boards(state, ["greenhouse/acme", "lever/b", "lever/unknown"])) == state
