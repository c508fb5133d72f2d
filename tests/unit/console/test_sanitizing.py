"""Nothing that a producer writes steers a terminal: no field of an event, a change, a dead letter or a log line."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType
from typer.testing import CliRunner

from resegment.agents.batch import RecordedMessage
from resegment.cli import build, main
from resegment.cli.logging import set_up_logging
from resegment.console.operations.changes import render as render_change
from resegment.console.operations.dead_letters import render as render_letter
from resegment.console.operations.dead_letters import render_list
from resegment.console.runtime.steps import step
from resegment.console.sanitizing import escape_json, escape_line, sanitize
from resegment.console.terminal import Terminal, encode_line, print_error, print_note
from resegment.errors import ResegmentError
from resegment.settings import Settings
from resegment.streams.operations.dead_letters import DeadLetter

EXAMPLES = Path(__file__).parents[3] / "examples"
STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]"
)
ATTACKS = {
    "osc-52 writes the clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "csi clears the screen": "\x1b[2J\x1b[H",
    "c1 csi": "\x9b2J",
    "c1 osc": "\x9d0;title\x9c",
    "bidi override": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "carriage return": "fine\rerror",
    "backspaces": "no\x08\x08yes",
    "delete": "a\x7fb",
}
every_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())


def shown(what: RenderableType) -> str:
    output = io.StringIO()
    Terminal(file=output, width=100, markup=False).print(what)
    return output.getvalue()


def is_safe(text: str) -> bool:
    return STEERS.search(text) is None


@every_attack
@pytest.mark.parametrize("command", ["explain", "play"])
def test_no_field_of_an_event_reaches_the_terminal(tmp_path: Path, attack: str, command: str) -> None:
    events = tmp_path / "events.jsonl"
    event = {"specversion": "1.0", "id": f"1{attack}", "source": f"s{attack}", "subject": "acme.com"}
    snapshot = {"name": attack, "employees": 60, "industry": attack, "country": attack, attack: attack}
    kinds = {
        "firmographic": snapshot,
        "hiring": {"change": "opened", "title": attack, "function": attack, "seniority": attack},
        "leadership": {"change": "joined", "role": "cro", "person": attack, "previous_company": attack},
        "strategy": {"theme": attack, "statement": attack},
    }
    events.write_text(
        "\n".join(
            json.dumps({**event, "type": f"gtm.{kind}.v1", "time": f"2026-01-0{day}T00:00:00Z", "data": data})
            for day, (kind, data) in enumerate(kinds.items(), 1)
        )
    )
    for file in ("segments.yaml", "quickstart.yaml"):
        line = [command, "acme.com", "-s", str(EXAMPLES / file), "-e", str(events), "--at", "2026-01-10"]
        result = CliRunner().invoke(build(), line)
        assert result.exit_code == 0, result.stderr
        assert "acme.com" in result.stdout
        assert is_safe(result.stdout)
        assert is_safe(result.stderr)
        as_json = CliRunner().invoke(build(), [*line, "--json"]).stdout
        assert is_safe(as_json)
        assert json.loads(as_json)["account"] == "acme.com"


@every_attack
@pytest.mark.parametrize("width", [None, 80])
def test_no_field_of_a_change_reaches_the_terminal(attack: str, width: int | None) -> None:
    change: dict[str, Any] = {
        "account": attack,
        "from": attack,
        "to": attack,
        "effective_at": "2026-11-24T12:00:00Z",
        "cause": {"events": [attack]},
        "reason": {
            "holds": [
                {
                    "test": attack,
                    "facts": 1,
                    "evidence": [
                        {"id": attack, "time": "2026-11-24T12:00:00Z", "data": {"title": attack + "\nx"}}
                    ],
                }
            ]
        },
        "supersedes": "1",
        "supersedes_to": attack,
    }
    line = render_change(change, width=width)
    assert is_safe(shown(line))
    assert width is not None or "\n" not in line.plain  # no producer can forge a line


@every_attack
def test_no_field_of_a_dead_letter_reaches_the_terminal(attack: str) -> None:
    about = dict.fromkeys(("reason", "field", "message", "topic", "timestamp", "key"), attack)
    for original in (orjson.dumps({"a": attack}), attack.encode(), b"\x9b2J\xff"):
        letter = DeadLetter(
            id=f"t{attack}:1:2",
            about={**about, "value": original.decode(errors="replace")},
            original=original,
            refused_at=0,
            record=RecordedMessage(0, 0, None, original),
        )
        assert is_safe(shown(render_list([letter])))
        assert is_safe(shown(render_letter(letter)))


@every_attack
def test_errors_notes_and_steps_do_not_steer_the_terminal(
    attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(ResegmentError(f"line 1: {attack}", remedy=f"Fix {attack}."))
    print_note(attack)
    with step(Terminal(), attack):
        pass
    captured = capsys.readouterr()
    assert "line 1: " in captured.err
    assert is_safe(captured.out + captured.err)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@every_attack
@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.usefixtures("logging_as_before")
def test_no_value_of_a_log_line_reaches_the_terminal(
    attack: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(Settings(log_format=form))  # type: ignore[arg-type]  # each is one of its words
    log = structlog.get_logger("resegment.test")
    log.warning("refused", message=attack, key=[attack, {attack: attack}], line="a\nforged")
    logging.getLogger("kafka.client").error("no node %s", attack)
    log.error("failed", exc_info=ValueError(attack))
    written = capsys.readouterr().err
    assert "refused" in written
    assert is_safe(written)
    assert not any(line.startswith("forged") for line in written.splitlines())


@given(st.text())
def test_what_is_sanitized_steers_nothing_and_json_keeps_its_value(text: str) -> None:
    assert is_safe(sanitize(text))
    assert is_safe(escape_line(text))
    assert "\n" not in escape_line(text)
    try:
        encoded = encode_line({"a": text})
    except TypeError:  # lone surrogates are no JSON
        return
    assert is_safe(encoded.decode())
    assert orjson.loads(encoded) == {"a": text}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert sanitize(text) == text == escape_line(text)
    assert escape_json(orjson.dumps(text)) == orjson.dumps(text)


@every_attack
def test_the_traceback_of_a_bug_does_not_steer_the_terminal(
    attack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise KeyError(attack) from ValueError(attack)

    monkeypatch.setattr("resegment.cli.build", lambda: fail)
    monkeypatch.setattr("resegment.cli.process.own", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main()
    written = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Traceback" in written
    assert is_safe(written)
