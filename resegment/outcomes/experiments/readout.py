"""What an experiment says, and whether it may say anything yet."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

State = Literal["not-yet", "read", "short", "stopped"]
"""not-yet: too few touches are old enough; read: all planned ones are; short: the experiment is over, with fewer than planned;
stopped: a later version of the file has it no more, before it was over."""

Verdict = Literal["better", "worse", "no-difference", "not-comparable"]


class Look(msgspec.Struct, frozen=True):
    """Somebody looked at an experiment. `early` says that they saw figures before its horizon."""

    at: str
    actor: str
    early: bool


class VariantRead(msgspec.Struct, frozen=True, kw_only=True):
    """One variant: accounts that were drawn for it, those that count, and those that had the outcome.

    `came`, `low` and `high` are None where nothing may be said yet.
    """

    name: str
    share: float
    drawn: int
    touches: int
    came: int | None = None
    low: float | None = None
    high: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The second variant compared with the first: the difference of the rates, with its interval.

    Where `always_valid`, the interval holds at every look; else it is for the one look at the horizon.
    """

    difference: float
    low: float
    high: float
    p_value: float | None
    always_valid: bool
    verdict: Verdict


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says about an experiment."""

    name: str
    segment: str
    hypothesis: str | None
    metric: str
    horizon: str
    baseline: float
    difference: float
    power: float
    confidence: float
    planned: int


class Readout(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment says as of `at`. `matured` touches of `declared.planned` are old enough.

    `read_on` is when the result can be read: known where all touches are made, else at the pace so far. `ratio_p` is
    the p-value of the sample-ratio check, None where it says nothing. `reached_power` is that of the touches that count.
    """

    declared: Declared
    at: str
    state: State
    matured: int
    read_on: str | None
    read_on_is_known: bool
    ratio_p: float | None
    ratio_passes: bool
    variants: tuple[VariantRead, ...]
    comparison: Comparison | None
    reached_power: float | None
    looks: tuple[Look, ...]
    warnings: tuple[str, ...]


def describe_readout(readout: Readout) -> dict[str, Any]:
    """Return the readout as plain JSON data."""
    plain: dict[str, Any] = msgspec.to_builtins(readout)
    return plain
