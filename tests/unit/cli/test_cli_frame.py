"""The command line's frame: help, usage, errors, exit codes."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from resegment import tell_release
from resegment.cli import build
from resegment.errors import ResegmentError

HEAVY = ("pydantic", "polars", "faust", "aiokafka", "redis", "kafka", "fastapi", "publicsuffixlist", "re2")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), list(arguments))
    return result.exit_code, result.stdout, result.stderr


def commands() -> list[str]:
    return [
        one.name or (one.callback.__name__ if one.callback else "") for one in build().registered_commands
    ]


def test_the_version_is_printed_and_what_the_core_is() -> None:
    assert run("--version") == (0, f"resegment {tell_release()}\n", "")


def test_every_command_shows_an_example_in_its_help() -> None:
    assert commands()
    for name in commands():
        code, output, _ = run(name, "--help")
        assert code == 0
        assert f"resegment {name}" in " ".join(output.partition("Example")[2].split())


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["backtest", "--no-such-option"], ["backtest"], ["lint"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    code, output, error = run(*arguments)
    assert code == 2
    assert not output
    assert "Usage: resegment" in error


def test_an_error_of_the_project_is_a_message_and_a_remedy_and_no_traceback() -> None:
    app = build()

    @app.command()
    def fail() -> None:
        raise ResegmentError("the [broker] is away", remedy="Start it.")

    result = CliRunner().invoke(app, ["fail"])
    assert result.exit_code == 1
    assert result.stderr == "error: the [broker] is away\nStart it.\n"
    assert not result.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from resegment.cli import main\n"
        "sys.argv = ['resegment', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "backtest" in found.stdout
    assert found.stderr.strip() == "[]"
