"""Seal what names persons in outgoing messages, and open it again: segment changes, commands and events for the router.

What is taken out of a message lies in it as one envelope, `sealed`, which restores every field in its place. What is left
is a valid message of the same contract: accounts, segments, instants, names of tests and counts stay readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE
from resegment.schemas.privacy.envelope import DataKey, Forgotten, Tampered, key_ids, open_sealed, seal

SEALED: Final = "sealed"
"""The member that holds the envelope."""
FORGOTTEN: Final = "forgotten"
"""The member of an opened message that says that its envelope cannot be opened any more."""

_MARKS: Final = b'"sealed"', b'"s1.'
"""What is in the bytes of every sealed message, however it is spaced: others are not even parsed."""
_CONTEXT: Final = b"message"

Taken = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """A message taken apart: what stays, and what has to be sealed, by the name of its field."""

    event: dict[str, Any]
    members: dict[str, Any]
    """Where the fields are: the data of a CloudEvent, else the event itself."""
    taken: Taken
    account: str
    context: tuple[bytes, ...]

    def without(self) -> bytes:
        """Return the message without what was taken, for an account that was forgotten."""
        self.members[FORGOTTEN] = True
        return orjson.dumps(self.event)

    def sealed(self, keys: Sequence[DataKey]) -> bytes:
        """Return the message with what was taken as an envelope."""
        self.members[SEALED] = seal(orjson.dumps(self.taken), keys, self.context)
        return orjson.dumps(self.event)


def take_apart(value: bytes) -> Parts | None:
    """Take what may name a person out of a message; None if there is nothing of that, or it is no message of ours."""
    found = _read(value)
    if found is None:
        return None
    event, members, account, context = found
    take = _TAKES.get(event.get("type", ""))
    if take is None or SEALED in members:
        return None
    taken = take(members)
    return Parts(event, members, taken, account, context) if taken else None


def may_be_sealed(value: bytes | None) -> bool:
    """Return whether it is worth opening a message: others are not even parsed."""
    return value is not None and _MARKS[0] in value and _MARKS[1] in value


def keys_of_message(value: bytes | None) -> tuple[str, ...]:
    """Return the ids of the keys that a message needs; none if it has nothing sealed, or what it has is no envelope."""
    if value is None or not may_be_sealed(value) or (found := _read(value)) is None:
        return ()
    try:
        return key_ids(found[1].get(SEALED, ""))
    except (Tampered, AttributeError):
        return ()


def open_message(value: bytes, keys: Mapping[str, DataKey]) -> bytes:
    """Return a message as it was before it was sealed; the same bytes if nothing in it is.

    Where a key was destroyed the message stays without that part, and says so (`forgotten`). Raises Tampered for an
    envelope that was not sealed for this message.
    """
    if not may_be_sealed(value) or (found := _read(value)) is None:
        return value
    event, members, _, context = found
    text = members.get(SEALED)
    if not isinstance(text, str):
        return value
    try:
        plain = open_sealed(text, keys, context)
    except Forgotten:
        del members[SEALED]
        members[FORGOTTEN] = True
        return orjson.dumps(event)
    try:
        taken = orjson.loads(plain)
    except orjson.JSONDecodeError:
        taken = None
    if not isinstance(taken, dict):
        raise Tampered("what is sealed are no fields of a message")
    del members[SEALED]
    members.update(taken)
    return orjson.dumps(event)


def _read(value: bytes) -> tuple[dict[str, Any], dict[str, Any], str, tuple[bytes, ...]] | None:
    """Return an event, where its fields are, its account, and the context that its envelope is bound to."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    kind = event.get("type")
    members = event.get("data") if kind in (CHANGE_TYPE, COMMAND_TYPE) else event
    if not isinstance(kind, str) or not isinstance(members, dict):
        return None
    account = members.get("account")
    if not isinstance(account, str):
        return None
    which = str(event.get("id") or event.get("at") or "")
    return event, members, account, (_CONTEXT, account.encode(), kind.encode(), which.encode())


# What is taken from each type of message


def _take_change(data: dict[str, Any]) -> Taken:
    taken = _take_whole(data, {"message": None, "values": {}, "do_not_contact": []})
    reason = data.get("reason")
    if isinstance(reason, dict) and isinstance(tests := reason.get("holds"), list):
        left = [_outline_test(one) for one in tests]
        if left != tests:
            taken["reason"], data["reason"] = reason, {**reason, "holds": left}
    cause = data.get("cause")
    if isinstance(cause, dict) and cause.get("events"):  # an id may be made of a name
        taken["cause"], data["cause"] = cause, {**cause, "events": []}
    return taken


def _take_command(data: dict[str, Any]) -> Taken:
    taken = _take_whole(data, {"message": None, "do_not_contact": [], "reason": None})
    if isinstance(tests := data.get("why"), list):
        left = [_outline_test(one) for one in tests]
        if left != tests:
            taken["why"], data["why"] = tests, left
    return taken


def _take_gates(event: dict[str, Any]) -> Taken:
    return _take_whole(event, {"do_not_contact": []})


def _take_outcome(event: dict[str, Any]) -> Taken:
    return _take_whole(event, {"fact": None})


_TAKES: Final[Mapping[str, Callable[[dict[str, Any]], Taken]]] = {
    CHANGE_TYPE: _take_change,
    COMMAND_TYPE: _take_command,
    "standing": _take_gates,
    "learned": _take_outcome,
}


def _take_whole(members: dict[str, Any], left: Mapping[str, Any]) -> Taken:
    """Take fields that have a value, and leave another one in their place."""
    taken = {}
    for name, instead in left.items():
        if members.get(name):
            taken[name], members[name] = members[name], instead
    return taken


def _outline_test(one: Any) -> Any:
    """Return a test that holds with its wording and its counts, without what it holds on."""
    if not isinstance(one, dict):
        return one
    return {
        name: value
        for name, value in one.items()
        if name != "evidence" and (name != "value" or value is None or isinstance(value, bool | int | float))
    }
