"""What of the logs is written, and how often."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from resegment.cli.logging import HARMLESS, RateLimit, set_up_logging
from resegment.settings import Settings


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", logging.ERROR, "", 0, message, values, None)


def test_the_same_line_is_written_a_few_times_in_a_window_whatever_its_values() -> None:
    limit = RateLimit(same=2, window=10.0, clock=lambda: 0.0)
    assert [limit.filter(record("no node %d", number)) for number in range(4)] == [True, True, False, False]
    assert limit.filter(record("another line"))


def test_the_next_window_says_how_many_lines_were_left_out() -> None:
    now = [0.0]
    limit = RateLimit(same=1, window=10.0, clock=lambda: now[0])
    for number in range(4):
        limit.filter(record("no node %d", number))
    now[0] = 10.0
    late = record("no node %d", 7)
    assert limit.filter(late)
    assert late.getMessage() == "no node 7 (suppressed 3 lines like this)"


def test_a_line_is_json_with_its_fields_where_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(Settings(log_format="json"))
    structlog.get_logger("resegment.test").warning("taking a partition anew", partition=3)
    logging.getLogger("kafka.client").error("no node %d", 7)
    own, foreign = map(json.loads, capsys.readouterr().err.splitlines())
    assert (own["event"], own["partition"], own["level"]) == ("taking a partition anew", 3, "warning")
    assert (foreign["event"], foreign["logger"]) == ("no node 7", "kafka.client")


def test_others_log_from_warnings_on_and_the_project_from_its_level_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging(Settings(log_level="info"))
    logging.getLogger("aiokafka.consumer").info("of no interest")
    logging.getLogger("resegment.streams").info("of interest")
    logging.getLogger("resegment.streams").debug("too much")
    written = capsys.readouterr().err
    assert "of interest" in written
    assert "of no interest" not in written
    assert "too much" not in written


def test_what_an_embedded_broker_cannot_do_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(Settings())
    logging.getLogger("aiokafka.producer.sender").error(
        "Unexpected error during InitProducerIdRequest. error_type:%s", "UnknownError"
    )
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("name", "start"), sorted(HARMLESS))
def test_the_routine_of_libraries_is_no_warning(
    name: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(Settings())
    routine = f"{start} and so on"
    logging.getLogger(name).warning(routine, *["g"] * start.count("%s"))
    logging.getLogger(name).warning("Something else %s", 7)
    written = capsys.readouterr().err
    assert "and so on" not in written
    assert "Something else 7" in written


@pytest.mark.parametrize(("name", "start"), sorted(HARMLESS))
def test_the_routine_lines_are_those_of_the_installed_libraries(name: str, start: str) -> None:
    source = inspect.getsource(importlib.import_module(name))
    assert start in re.sub(r"""["']\s*\n\s*["']""", "", source)
