"""Segment changes and gate changes, as the core decides them."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

EnrollmentRoute = Literal["none", "new-only", "all"]
"""Which accounts that a new version of the definition moved are enrolled: none, those that the workflow and the play
have not touched, or all."""


class Cause(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why an account moved: the ids of the events, the deadline that passed without one, or a new definition.

    `definition` is the number of the version that judged the account for the first time. `merged` names the account that
    this one was merged into, or the one that was merged into this one; `unmerged` names the other one of an unmerge.
    `forgotten` says that the account, or a person of it, was forgotten.
    """

    events: tuple[str, ...] = ()
    deadline: str | None = None
    definition: int | None = None
    merged: str | None = None
    unmerged: str | None = None
    forgotten: Literal["account", "person"] | None = None


class Restrictions(msgspec.Struct, frozen=True, gc=False):
    """The persons not to contact, and until when (ms) a lost deal forbids an enrollment; 0 if none does.

    `parent` is the account's parent, if the file asks for families. `forgotten` says that the persons are not known: the
    message lost them when somebody was forgotten.
    """

    do_not_contact: tuple[str, ...] = ()
    lost_until: int = 0
    parent: str | None = None
    forgotten: bool = False


class SegmentChange(
    msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from", "active_gates": "standing"}, gc=False
):
    """One move of one account; instants in ms. `from_` is None at first sight, `to` where the account ends.

    `supersedes` is the id of an earlier change with the same `effective_at` that this one cancels, and
    `supersedes_to` is the segment that it had moved the account to. `active_gates` names the suppressions and
    territories that hold. `values` has the values that the play's texts and the waiting list's order use.
    `do_not_contact` names persons. Until `lost_until` a lost deal forbids an enrollment; 0 if none does.

    `absent` are the kinds of events on whose absence the change rests.

    A change that a new version of the definition made says with `route` whether it enrolls; `moved` if only the
    segment's name changed; and `rollback_of` with the number of the version that the new one takes back.
    Until `stays_until` time alone does not move the account; None if it never does.
    """

    id: str
    account: str
    sequence_number: int
    from_: str | None
    to: str | None
    effective_at: int
    decided_at: int
    cause: Cause
    reason: dict[str, Any]
    also_qualified: tuple[str, ...]
    definition_version: str
    supersedes: str | None = None
    supersedes_to: str | None = None
    active_gates: tuple[str, ...] = ()
    values: dict[str, Any] = {}
    do_not_contact: tuple[str, ...] = ()
    lost_until: int = 0
    parent: str | None = None
    route: EnrollmentRoute | None = None
    moved: bool = False
    rollback_of: int | None = None
    absent: tuple[str, ...] = ()
    stays_until: int | None = None


class GateChange(msgspec.Struct, frozen=True, kw_only=True):
    """Active gates, persons not to contact or a lost deal's cooldown changed, and the segment did not; ms.

    `sequence` is the number of the account's latest change. Where a new version of the definition judged the gates,
    `definition` is its number, and `route` and `rollback_of` are those that its changes carry.
    """

    account: str
    effective_at: int
    decided_at: int
    active_gates: tuple[str, ...]
    sequence: int
    do_not_contact: tuple[str, ...] = ()
    lost_until: int = 0
    parent: str | None = None
    definition: int | None = None
    route: EnrollmentRoute | None = None
    rollback_of: int | None = None


def identify_change(
    account: str, effective_at: int, from_: str | None, to: str | None, cause: Cause, version: str
) -> str:
    """Return the id of a change: a hash of its content, so the same decision always has the same id."""
    parts: tuple[Any, ...] = (account, effective_at, from_, to, cause.events, cause.deadline, version)
    if cause.definition is not None:
        parts += (cause.definition,)
    if cause.merged is not None or cause.unmerged is not None:
        parts += (cause.merged, cause.unmerged)
    if cause.forgotten is not None:
        parts += (cause.forgotten,)
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()
