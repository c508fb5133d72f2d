"""The state of an account. Append fields to `AccountState`, never reorder them."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from resegment.schemas.fact import KINDS

KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)}


class Entry(msgspec.Struct, array_like=True, gc=False):
    """The newest revision of one fact. Times are in ms; `data` holds the fields that the segments file uses.

    `record` is None if it equals the id. `older` holds the ids of the revisions that this one replaced, so that
    a second delivery of one changes nothing. `latest` is the latest time of any of them. `raw` holds the values of `data`
    as they were delivered, where the types of the segments file changed them or left them out.
    """

    kind: int
    time: int
    recorded: int
    known: int
    source: str
    id: str
    record: str | None = None
    data: dict[str, Any] | None = None
    retracted: bool = False
    older: list[str] | None = None
    latest: int = 0
    raw: dict[str, Any] | None = None


class Membership(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An account's segment, since when, and when it last left each segment.

    In the state of an earlier release, `left` names only segments with a cooldown.
    """

    segment: str | None = None
    entered: int = 0
    left: dict[str, int] = {}


class Limited(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What limits do to an account. With `room` facts or fewer, none is dropped; `dropped` counts the dropped by test."""

    room: int = 0
    dropped: dict[str, int] = {}


class Identity(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What merges and unmerges do to an account.

    - `closed`: it is merged `into` another account by `op`, and its facts wait until that one has what is known.
    - `open`: its facts are passed to that account.
    - `returning`: it is one of its own again, and its facts wait until what is known has come back.
    - `parting`: another account leaves it, and its own facts are noted meanwhile.
    - `held`: facts of a forgotten person are taken out of it, and its facts wait meanwhile. `held` is its membership then.

    `offset` is where the record is that began this. `kept` holds facts that wait or are noted, as JSON. `parted` says up
    to which number merges of an alias count no more. An account is `forgotten` until that is lifted: its facts count for
    nothing. `forgets` is the number of the latest forget or its lifting, and `until` (ms) when an account was forgotten.
    """

    mode: Literal["", "closed", "open", "returning", "parting", "held"] = ""
    into: str | None = None
    op: int = 0
    offset: int = -1
    parted: dict[str, int] = {}
    kept: tuple[bytes, ...] = ()
    forgotten: bool = False
    forgets: int = 0
    until: int = -1
    held: Membership | None = None


class AccountState(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """Everything that decides an account's segment, now and later.

    `at` is the instant of the latest change, `before` is the membership before that instant, and `change` is that
    change's id. Facts that become known at the same instant are evaluated from `before` again. `do_not_contact` names
    persons, and `lost_until` is when (ms) the cooldown after a lost deal ends, 0 without one. `parent` is the
    account's parent, if the file asks for families. `version` is the number of the definition that the account was last
    judged by, 0 for the first one of a prefix. Until `pruned` (ms) no fact is old enough to be forgotten. `dropped`
    counts the facts that a limit took from a test. `identity` is None for an account without merges.
    """

    entries: list[Entry] = []
    membership: Membership = Membership()
    sequence: int = 0
    at: int = -1
    before: Membership | None = None
    change: str | None = None
    deadline: int | None = None
    pruned: int = 0
    dropped: int = 0
    active_gates: tuple[str, ...] = ()
    do_not_contact: tuple[str, ...] = ()
    lost_until: int = 0
    parent: str | None = None
    version: int = 0
    limited: Limited = Limited()
    identity: Identity | None = None
