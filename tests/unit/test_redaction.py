"""Logs name accounts, never persons."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.cli.logging import set_up_logging
from resegment.errors import RefusedEvent, TransientError
from resegment.redaction import HIDDEN, hide_field, hide_persons, hide_quotes, tell_error, write_traceback
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.settings import Settings
from tests.builders import raw_event

PERSON = "Philippa Featherstonehaugh"
ADDRESS = "philippa@acme.com"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        "mailto:{}",
        "cannot write <{}>, it is taken",
        "GET /contacts/{}?x=1",
        "GET /contacts?email={}",
        "redis://{}:6379/0",
        "{}",
    ],
)
@pytest.mark.parametrize(
    "address", [ADDRESS, "philippa%40acme.com", "Philippa＠ACME.com", "ph.ip+x@acme.co.uk"]
)
def test_an_address_is_hidden_wherever_it_stands(text: str, address: str) -> None:
    told = hide_persons(text.format(address))
    assert HIDDEN in told
    assert address not in told
    assert "ph" not in told.lower().replace("http", "")


@pytest.mark.parametrize(
    "number", ["+1 555 010 9999", "+44 (0)20 7946 0958", "0049 30 901820", "+15550109999"]
)
def test_a_phone_number_is_hidden(number: str) -> None:
    assert hide_persons(f"cannot call {number} now") == f"cannot call {HIDDEN} now"


def test_the_profile_of_a_person_is_hidden() -> None:
    assert (
        hide_persons("see https://www.linkedin.com/in/philippa-f/ there") == f"see https://www.{HIDDEN} there"
    )


@pytest.mark.parametrize(
    "text",
    [
        "partition 3 of p.signals at offset 1234567890123",
        "2026-01-31T09:00:00.000+00:00",
        "acme.com moved from evaluating to buying",
        "trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "100.0 % of 12,345,678 events in 0.001 s",
        "NodeNotReadyError: 10.0.0.1:9092 isn't ready",
    ],
)
def test_what_names_nobody_stays_as_it_is(text: str) -> None:
    assert hide_persons(text) == text


def test_what_a_message_quotes_is_hidden_and_its_own_words_stay() -> None:
    told = hide_quotes(f"""expected a number, not '{PERSON}': it's data.score ("{PERSON}", `{PERSON}`)""")
    assert PERSON.split(maxsplit=1)[0] not in told
    assert told.startswith("expected a number, not (hidden): it's data.score")
    assert hide_quotes(f"cut in the middle: '{PERSON}") == f"cut in the middle: {HIDDEN}"


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8"), min_size=3).filter(lambda one: len(set(one)) > 2))
def test_no_quoted_text_of_any_kind_remains(said: str) -> None:
    marked = f"Philippa{said}Featherstonehaugh"
    told = hide_quotes(f"expected a number, not {marked!r}")
    assert "Philippa" not in told
    assert "Featherstonehaugh" not in told


@pytest.mark.parametrize(
    "name", ["person", "email", "E-Mail", "title_raw", "do_not_contact", "statement", "body"]
)
def test_a_field_that_may_hold_a_person_keeps_no_text_at_any_depth(name: str) -> None:
    line = hide_field(
        "about", {"account": "acme.com", "events": [{name: PERSON, "kind": "people"}], "count": 3}
    )
    assert line == {"account": "acme.com", "events": [{name: HIDDEN, "kind": "people"}], "count": 3}
    assert hide_field(name, [PERSON]) == HIDDEN
    assert hide_field(name, 3) == 3


def throw(error: BaseException) -> None:
    raise error


def failing(error: Exception) -> Exception:
    """Return the error as it is when it is caught, raised while another one was handled."""
    try:
        try:
            throw(KeyError(PERSON))
        except KeyError:
            throw(error)
    except Exception as raised:  # noqa: BLE001  # whichever it is
        return raised
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"cannot read {PERSON}"),
        KeyError(PERSON),
        RefusedEvent("wrong-type", f"not {PERSON}"),
        ExceptionGroup(f"{PERSON}", [ValueError(PERSON)]),
        UnicodeDecodeError("utf-8", PERSON.encode(), 0, 1, PERSON),
    ],
)
def test_a_traceback_says_where_but_quotes_no_data(error: Exception) -> None:
    told = write_traceback(failing(error))
    assert PERSON not in told
    assert PERSON not in tell_error(error)
    assert type(error).__name__ in told
    assert "in failing" in told


def test_an_error_of_a_server_keeps_its_message() -> None:
    assert tell_error(TransientError("Redis at 10.0.0.1 does not answer")) == (
        "TransientError: Redis at 10.0.0.1 does not answer"
    )
    assert "During handling of the above exception" in write_traceback(failing(OSError("no route")))


def test_a_refused_record_is_logged_without_the_words_of_its_producer() -> None:
    event = raw_event(type="gtm.people.v1", data={"person": [PERSON], "email": ADDRESS})
    with pytest.raises(RefusedEvent) as refused:
        decode_event(event)
    assert PERSON not in tell_error(refused.value)


def log_everything(log: Any, library: logging.Logger) -> None:
    """Log a planted person in every way in which something can be logged."""
    told = f"cannot tell {ADDRESS}"
    log.warning(told)
    log.warning("told", account="acme.com", person=PERSON, email=ADDRESS, about={"contacts": [PERSON]})
    log.warning("told", error=ValueError(PERSON), why=f"no {ADDRESS}")
    log.error("failed", exc_info=failing(ValueError(PERSON)))
    library.error("cannot send %s: %r", ADDRESS, ValueError(PERSON))
    library.error("cannot send", exc_info=failing(KeyError(PERSON)))
    try:
        throw(RefusedEvent("not-json", f"the value is {PERSON}"))
    except RefusedEvent:
        log.exception("a batch failed")
    loop = asyncio.new_event_loop()
    task = loop.create_future()
    task.set_exception(ValueError(PERSON))
    loop.call_exception_handler(
        {"message": "never retrieved", "exception": ValueError(PERSON), "future": task}
    )
    task.exception()
    loop.close()


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_line_of_the_log_names_a_person(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(Settings(log_format=form))
    log_everything(structlog.get_logger("resegment.test"), logging.getLogger("aiokafka.producer"))
    written = capsys.readouterr().err
    assert "Philippa" not in written
    assert "philippa" not in written
    assert "acme.com" in written
    assert "never retrieved" in written
    assert written.count("Traceback") >= 3


def test_without_redaction_the_same_lines_do_name_the_person(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(Settings(log_format="console"))
    handler = logging.getLogger().handlers[0]
    handler.setFormatter(None)
    log_everything(structlog.get_logger("resegment.test"), logging.getLogger("aiokafka.producer"))
    assert "Philippa" in capsys.readouterr().err
