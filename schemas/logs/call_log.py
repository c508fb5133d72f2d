"""What the call log keeps of an account at a sink (MessagePack: append fields, never reorder)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

CallState = Literal["sent", "lost", "answered"]


class LoggedCall(msgspec.Struct, frozen=True, array_like=True):
    """A `once` call in the call log: written before it is sent, and again once its outcome is known.

    `at` is when (ms) it was sent, or for `lost` when its outcome was found to be unknown. `attempt` counts from 1.
    """

    state: CallState
    at: int
    attempt: int
    process: str
    status: int = 0
    body: Any = None
    verdict: str = ""


class LoggedResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a command: in the call log, so that it is not carried out again."""

    outcome: str
    text: str
    at: int
    sequence: int = 0
    kind: str = ""
    workflow: str = ""


class LoggedContact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contact as the call log keeps it; `references` and `key` where it is enrolled.

    `unsure`: it is not known whether it is.
    """

    contact: dict[str, Any]
    references: dict[str, str] = {}
    key: str = ""
    unsure: bool = False


class AccountCalls(msgspec.Struct, frozen=True):
    """What the call log has of one account at one sink.

    `calls` are by command and step, `results` by command, `chosen` the contacts by command, `enrolled` the contacts by
    workflow. `sequence` is the highest sequence number of a change whose command was carried out.
    """

    calls: Mapping[tuple[str, str], LoggedCall] = {}
    results: Mapping[str, LoggedResult] = {}
    chosen: Mapping[str, Sequence[LoggedContact]] = {}
    enrolled: Mapping[str, Sequence[LoggedContact]] = {}
    sequence: int = 0


class WrittenFields(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of the fields of an account at a sink: `values` by our names, `written` by the vendor's."""

    values: dict[str, str | None] = {}
    written: dict[str, str | None] = {}
