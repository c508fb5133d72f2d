"""Logs of all parts on standard error, in one format, rate-limited so that floods do not bury what matters."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

import structlog

from resegment.console.sanitizing import escape_line, escape_values, sanitize
from resegment.redaction import hide_field, hide_quotes, tell_error, write_traceback
from resegment.settings import Settings

SAME_LINES: Final = 5
"""How often the same line (logger and message template) is written in one window."""

WINDOW: Final = 10.0
"""Length of a window in seconds."""

HARMLESS: Final = frozenset(
    {
        # the embedded broker gives out no producer ids: the publisher works without, and says so itself
        ("aiokafka.producer.sender", "Unexpected error during InitProducerIdRequest"),
        # the routine of a group when members join and leave: the client joins again by itself
        ("aiokafka.consumer.group_coordinator", "Heartbeat failed for group %s because it is rebalancing"),
        ("aiokafka.consumer.group_coordinator", "Heartbeat failed for group %s: generation id is not"),
        ("aiokafka.consumer.group_coordinator", "Heartbeat failed: local member_id was not recognized"),
        ("aiokafka.consumer.group_coordinator", "Marking the coordinator dead"),
        # a topic that was created a moment ago, and metadata that is refreshed again: /readyz and `status` tell more
        ("aiokafka.cluster", "Topic %s is not available during auto-create"),
        ("kafka.cluster", "Topic %s is not available during auto-create"),
        ("kafka.cluster", "No node available for metadata refresh"),
        # a busy machine: what is late has metrics of its own
        ("mode.timers", "Timer %s is overlapping"),
    }
)
"""Lines of libraries that nobody can act on: a logger, and the start of the message."""

_OWN: Final = ("resegment",)
_FOREIGN: Final = ("aiokafka", "kafka", "faust", "mode", "asyncio", "uvicorn", "redis")


def set_up_logging(settings: Settings, *, quiet: bool = False) -> None:
    """Log to standard error: the project at the configured level, other libraries from warnings up.

    `quiet` is for commands that end by themselves: they log only warnings, unless a level is configured.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                *_rendering(settings.log_format),
            ],
        )
    )
    handler.addFilter(_is_worth_reading)
    handler.addFilter(_tell_errors)
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    asked = not quiet or "log_level" in settings.model_fields_set
    level = settings.log_level.upper() if asked else "WARNING"
    for name in _OWN:
        logging.getLogger(name).setLevel(level)
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)


def _rendering(form: str) -> list[Any]:
    if form == "json":
        return [
            structlog.processors.ExceptionRenderer(_traceback_of),
            structlog.processors.JSONRenderer(),
        ]
    return [
        _escape_controls,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback),
    ]


def _escape_controls(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write controls in texts as escapes: what a producer sent neither steers the terminal nor forges a line."""
    return {
        escape_line(name): escape_values(value) if name != "exc_info" else value
        for name, value in event.items()
    }


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide persons in a line: in its text, in fields that may hold one, and in what errors say."""
    if event.get("logger") == "asyncio":  # it quotes errors in words of its own
        event["event"] = hide_quotes(str(event["event"]))
    return {name: value if name in _OF_THE_LINE else hide_field(name, value) for name, value in event.items()}


_OF_THE_LINE: Final = frozenset({"exc_info", "timestamp", "level", "logger"})


def _tell_errors(record: logging.LogRecord) -> bool:
    """Replace the errors among the values of a line of a library by what `tell_error` returns."""
    if isinstance(record.args, tuple) and any(isinstance(one, BaseException) for one in record.args):
        record.args = tuple(
            _Told(tell_error(one)) if isinstance(one, BaseException) else one for one in record.args
        )
    return True


class _Told(str):
    """A text that `%r` writes without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _traceback_of(exc_info: structlog.typing.ExcInfo) -> str:
    return "" if exc_info[1] is None else write_traceback(exc_info[1])


def _write_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    stream.write("\n" + sanitize(_traceback_of(exc_info)))


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to the current standard error, which a progress display replaces for a while."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None: ...


@dataclass(slots=True)
class _Window:
    begun: float
    written: int = 0
    left_out: int = 0


class RateLimit(logging.Filter):
    """Lets the same line through `same` times in `window` seconds; the next one says how many were dropped."""

    def __init__(
        self,
        same: int = SAME_LINES,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._same, self._window, self._clock = same, window, clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to write the line."""
        now = self._clock()
        key = (record.name, _template(record))
        window = self._windows.get(key)
        if window is None or now - window.begun >= self._window:
            left_out = 0 if window is None else window.left_out
            self._windows[key] = window = _Window(now)
            if left_out:
                _append(record, f"suppressed {left_out} lines like this")
        window.written += 1
        if window.written <= self._same:
            return True
        window.left_out += 1
        return False


def _template(record: logging.LogRecord) -> str:
    return str(record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg)


def _append(record: logging.LogRecord, note: str) -> None:
    if isinstance(record.msg, dict):
        record.msg = {**record.msg, "note": note}
    else:
        record.msg = f"{record.msg} ({note})"


def _is_worth_reading(record: logging.LogRecord) -> bool:
    if record.levelno < logging.WARNING and _template(record).startswith("[^"):
        return False  # faust's services log their coming and going under the names of our modules
    return not any(record.name == name and _template(record).startswith(text) for name, text in HARMLESS)
