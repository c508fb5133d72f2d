"""A touch: one enrollment of an account, or one draw that held it out, frozen as it was then.

Redis keeps touches as MessagePack arrays: append fields, never reorder.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Arm = Literal["enrolled", "holdout"]


class Touch(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=0, gc=False):
    """What an account was when it was touched, at `at` (ms).

    `touch` is the idempotency key of the enroll command; of a holdout it follows from the change. `version` is the number of
    the version of the definition, None where it is not known, and `definition_version` is its fingerprint. `channel` is the
    primary channel of the play.
    """

    touch: str
    account: str
    at: int
    segment: str
    workflow: str
    arm: Arm = "enrolled"
    play: str | None = None
    owner: str | None = None
    team: str | None = None
    channel: str | None = None
    definition_version: str | None = None
    version: int | None = None
    experiment: str | None = None
    variant: str | None = None
    change: str = ""


class TouchVoid(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=1, gc=False):
    """Every touch of an account that followed from `change` is void: another change of the same instant (ms) superseded it."""

    account: str
    at: int
    change: str


class TouchKey(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=2, gc=False):
    """The key of a later command means a touch too, like that of a reassignment."""

    account: str
    at: int
    key: str
    touch: str


class TouchesForgotten(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=5, gc=False):
    """The account was forgotten, at `at` (ms): none of its records before this one counts."""

    account: str
    at: int


TouchRecord = Touch | TouchVoid | TouchKey | TouchesForgotten
"""What a record of the topic `touches` says."""
