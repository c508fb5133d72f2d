"""The fields of an account's record at a CRM: what changes and commands say, and what of it is news to the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from resegment.schemas.logs.call_log import WrittenFields
from resegment.schemas.logs.decoding import decode_value
from resegment.sinks.operation import Owner

Values = Mapping[str, str | None]
"""By our names: segment, play, owner, since, why, next."""
OWNS: Final = frozenset({"enroll", "reassign"})
LEAVES: Final = frozenset({"stop", "finish"})
MAX_WHY: Final = 3
MAX_TEXT: Final = 500
OWNER_FIELDS: Final = frozenset({"hubspot_owner_id", "OwnerId"})
"""Fields that hold the vendor's id of the owner, not the name."""


class _Held(msgspec.Struct, frozen=True):
    test: str = ""


class _Reason(msgspec.Struct, frozen=True):
    holds: list[_Held] = []


class _Change(msgspec.Struct, frozen=True):
    account: str
    to: str | None
    effective_at: str = ""
    play: str | None = None
    reason: _Reason = _Reason()
    stays_until: str | None = None


class _ChangeEvent(msgspec.Struct, frozen=True):
    data: _Change


class _Command(msgspec.Struct, frozen=True):
    action: str
    account: str
    owner: str | None = None


class _CommandEvent(msgspec.Struct, frozen=True):
    data: _Command


_changes: Final = msgspec.json.Decoder(_ChangeEvent)
_commands: Final = msgspec.json.Decoder(_CommandEvent)


def read_change(value: bytes) -> tuple[str, Values]:
    """Return the account of a segment change, and what it says of its fields. Raises msgspec.DecodeError."""
    change = decode_value(_changes, value).data
    if change.to is None:  # merged into another account
        return change.account, dict.fromkeys(("segment", "play", "owner", "since", "why", "next"))
    why = "; ".join(one.test for one in change.reason.holds[:MAX_WHY])[:MAX_TEXT]
    coming = None if change.stays_until is None else f"stays until {change.stays_until} at least"
    return change.account, {
        "segment": change.to,
        "play": change.play,
        "since": change.effective_at,
        "why": why or None,
        "next": coming,
    }


def read_owner(value: bytes) -> tuple[str, Values]:
    """Return the account of a command, and its owner if the command says who that is. Raises msgspec.DecodeError."""
    command = decode_value(_commands, value).data
    if command.action in OWNS:
        return command.account, {"owner": command.owner}
    return command.account, {"owner": None} if command.action in LEAVES else {}


def name_fields(
    values: Values, names: Mapping[str, str], owners: Mapping[str, Owner]
) -> dict[str, str | None]:
    """Return the values by the vendor's names."""
    found: dict[str, str | None] = {}
    for name, field in names.items():
        if name in values:
            value = values[name]
            if name == "owner" and value is not None and field in OWNER_FIELDS:
                value = owners.get(value, Owner(value)).ids.get("owner")
            found[field] = value
    return found


def find_news(
    before: WrittenFields, values: Values, names: Mapping[str, str], owners: Mapping[str, Owner]
) -> dict[str, str | None]:
    """Return the fields to write: those whose value the vendor does not have, and old ones to empty.

    A field that is not in `names` any more was renamed or taken out of the file: what was written there is emptied.
    """
    wanted = name_fields({**before.values, **values}, names, owners)
    news = {field: value for field, value in wanted.items() if before.written.get(field) != value}
    return news | {
        field: None for field, value in before.written.items() if field not in wanted and value is not None
    }


def keep_written(
    before: WrittenFields, values: Values, news: Mapping[str, str | None], dropped: tuple[str, ...]
) -> WrittenFields:
    """Return what is known after fields were written; `dropped` ones were not."""
    written = {**before.written, **{field: value for field, value in news.items() if field not in dropped}}
    return WrittenFields(
        values={**before.values, **values},
        written={field: value for field, value in written.items() if value is not None},
    )
