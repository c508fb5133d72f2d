"""The log as which the state of an account is stored.

A log is a MessagePack array with a 32-bit length. Its first item is bytes with a 32-bit length: the state when it was
last written as a whole, as one array of its fields. The items after it are read in their order:

- a map: fields of the state by their number in `AccountState`. Number 0 holds the bytes that the state took when it
  was last written as a whole, where that was more than the first item.
- an array: a fact that the state has from here on.
- bytes: a fact that the state has from here on, which is as an earlier one but for its id and its times.
- a number: the fact at this place is removed; a negative one: the next fact replaces the one at -1 - number.

Two logs are joined by joining their items. A small state is always written as a whole: that costs less than to note
what has changed, and less to read. A release before this format stored the state as one array of its fields, without
a log: that is read too.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

import msgspec
from msgspec.structs import astuple
from mypy_extensions import mypyc_attr

from resegment.schemas.logs.log_framing import HEADER, LOG, begin_log, count_items, is_log
from resegment.schemas.state import KIND_NUMBERS, AccountState, Entry, Membership

SHORT: Final = 4_096
SLACK: Final = 384
"""A state is written as a whole again when its log has grown by as many bytes as the last time it took, and SLACK more.

So each byte that is appended costs another one for that, however many facts there are. Of states shorter than SHORT, of
which there are many, the log grows by half of that: they take less room, and each byte costs two more.
"""

SMALL: Final = 128
"""A log with fewer bytes is not appended to: the state is written as a whole."""

MAX_FACT: Final = 300_000
"""No fact takes more bytes: events are smaller."""

FEW: Final = 4
"""Among so many facts or fewer, the log of a whole state has no snapshots that repeat others."""

LOOKED_AT: Final = 32
"""How many facts a new snapshot is compared with, to find one that it repeats."""

_FIRMOGRAPHIC: Final = KIND_NUMBERS["firmographic"]
_NAMES: Final = AccountState.__struct_fields__
_DEFAULTS: Final = astuple(AccountState())
_ENTRIES: Final = _NAMES.index("entries")
_MEMBERSHIPS: Final = frozenset((_NAMES.index("membership"), _NAMES.index("before")))
_SEGMENT: Final = (str, NoneType)
Fields = tuple[Any, ...]  # of a state, in their order
_BASE: Final = 0
_WHOLE: Final = 0xC6
_copy: Final = AccountState.__copy__  # type: ignore[attr-defined]  # the type stubs leave it out
_begin_whole: Final = Struct(">BIBI").pack
_read_whole: Final = Struct(">BIBI").unpack_from
_BEFORE_WHOLE: Final = 10
"""The bytes before the state: the log's header, and that of the first item."""

_encoder: Final = msgspec.msgpack.Encoder()
_encode_into: Final = _encoder.encode_into
_decoder: Final = msgspec.msgpack.Decoder(list[Entry | dict[int, Any] | int | bytes])
_repeat_decoder: Final = msgspec.msgpack.Decoder(tuple[int, int, int, int, int, str])
_raw_decoder: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_head_decoder: Final = msgspec.msgpack.Decoder(dict[int, Any])
_array_decoder: Final = msgspec.msgpack.Decoder(AccountState)


def _find_plain(hint: Any) -> tuple[type, ...]:
    """Return the types that a field's value may have as it was decoded; others are converted."""
    plain = {int, str, bool, NoneType}
    return tuple(one for one in (hint, *get_args(hint)) if one in plain)


_HINTS: Final = [get_type_hints(AccountState)[name] for name in _NAMES]
_PLAIN: Final = [_find_plain(hint) for hint in _HINTS]


@mypyc_attr(acyclic=True)
class StateWrite:
    """What a commit writes of one account: its whole state, or items that are appended to its log."""

    __slots__ = ("appends", "data")

    def __init__(self, data: bytes, appends: bool = False) -> None:
        self.data, self.appends = data, appends


@mypyc_attr(acyclic=True)
class StateLog:
    """Notes what changes in a state, and says what to write. A new one stands for a state that is not stored.

    `size` are the bytes that the store has, and those that are noted.
    """

    __slots__ = ("_base", "_items", "_noted", "_stored", "size")

    def __init__(self, size: int = 0, base: int = 0, stored: Fields | None = None) -> None:
        self.size, self._base = size, base
        self._stored = stored
        """The state as the store has it; None: it has none, or in an earlier format. It shares its facts with the state."""
        self._noted: bytearray | None = None
        self._items = 0

    def add(self, entries: list[Entry]) -> None:
        """Note that the state has another fact: the last of these."""
        if self.size < SMALL:
            self._stored = None
            self.size += MAX_FACT  # at most, until it is written
            return
        entry, last = entries[-1], len(entries) - 1
        if entry.kind == _FIRMOGRAPHIC:
            for place in range(last - 1, max(last - LOOKED_AT, 0) - 1, -1):
                if _repeats(entry, entries[place]):
                    self._note(encode_repeat(entry, entries[place], last - place))
                    return
        self._note(entry)

    def remove(self, *places: int) -> None:
        """Note that the facts at these places, which ascend, are removed."""
        if not places:
            return
        if self._noted is None:
            self._noted = bytearray()
        items = _encode_items(places[::-1])
        self._noted += items
        self._items += len(places)
        self.size += len(items)

    def replace(self, place: int, entry: Entry) -> None:
        """Note that the fact at this place has changed."""
        self._note(~place)
        self._note(entry)

    def _note(self, item: Entry | int | bytes) -> None:
        if self._noted is None:
            self._noted = bytearray()
        before = len(self._noted)
        _encode_into(item, self._noted, -1)
        self._items += 1
        self.size += len(self._noted) - before

    @property
    def whole(self) -> int:
        """About the bytes that the state takes as a whole: what it took when it was written so, or more by now."""
        return (self._base + self.size) // 2 if self._base else self.size

    def outdate(self) -> None:
        """Let the next write be of the whole state: it has changed in a way that was not noted."""
        self._stored = None

    def write(self, state: AccountState) -> StateWrite | None:
        """Return what to write so that the store has the state, or None if it has it. What is noted counts as written."""
        stored, noted, fields = self._stored, self._noted, astuple(state)
        if stored is not None and fields[_ENTRIES] is not stored[_ENTRIES]:
            stored = None  # other facts, of which nothing was noted
        if stored is not None:
            if noted is None and fields == stored:
                return None
            if self.size >= SMALL and (write := self._append(fields, stored)) is not None:
                return write
        self._stored, self._noted, self._items = fields, None, 0
        data, self._base = _encode(state)
        self.size = len(data)
        return StateWrite(data)

    def _append(self, fields: Fields, stored: Fields) -> StateWrite | None:
        """Return what to append so that the store has the state, or None if the log would become too long."""
        changed: dict[int, Any] = {}
        for number in range(len(fields)):
            field, before = fields[number], stored[number]
            if field is not before and field != before:
                changed[number] = field
        head = _encoder.encode(changed) if changed else b""
        if self.size + len(head) >= _limit(self._base):
            return None
        items = begin_log(self._items + bool(changed))
        data = items + head if self._noted is None else items + head + self._noted
        self.size += len(head)
        self._stored, self._noted, self._items = fields, None, 0
        return StateWrite(data, appends=True)


def _limit(whole: int) -> int:
    """Return how many bytes the log of a state may take that took so many when it was written as a whole."""
    return whole + max(whole // 2, whole - SHORT // 2) + SLACK


def encoded_size(value: Entry | Sequence[Entry]) -> int:
    """Return how many bytes a fact, or facts, take as they are stored."""
    return len(_encoder.encode(value))


def encode_state(state: AccountState) -> bytes:
    """Return the log of a whole state."""
    return _encode(state)[0]


def _encode(state: AccountState) -> tuple[bytes, int]:
    """Return the log of a whole state, and the bytes that the state takes of it."""
    if len(state.entries) > FEW and (repeats := _find_repeats(state.entries)):
        return _encode_repeating(state, repeats)
    body = _encoder.encode(state)
    size = len(body)
    return _begin_whole(LOG, 1, _WHOLE, size) + body, size


def _encode_repeating(state: AccountState, repeats: dict[int, int]) -> tuple[bytes, int]:
    """Return the log of a whole state whose facts are all items of their own, and the bytes that the state takes of it."""
    entries = state.entries
    facts = bytearray()
    for place, entry in enumerate(entries):
        before = repeats.get(place)
        item = entry if before is None else encode_repeat(entry, entries[before], place - before)
        _encode_into(item, facts, -1)
    fields = _copy(state)
    fields.entries = []
    body = _encoder.encode(fields)
    size = len(body) + len(facts)
    return (
        _begin_whole(LOG, 2 + len(entries), _WHOLE, len(body))
        + body
        + _encoder.encode({_BASE: size})
        + facts,
        size,
    )


def _encode_items(items: Sequence[Entry] | Sequence[int]) -> bytes:
    """Return the items, one after another."""
    count = len(items)
    return _encoder.encode(items)[1 if count < 16 else 3 if count < 1 << 16 else 5 :]


def _find_repeats(entries: list[Entry]) -> dict[int, int]:
    """Return the places of snapshots that repeat an earlier one, with the place of that."""
    latest: dict[tuple[int, str], int] = {}
    repeats: dict[int, int] = {}
    for place, entry in enumerate(entries):
        if entry.kind == _FIRMOGRAPHIC and entry.data is not None:
            before = latest.get(key := (id(entry.data), entry.source))
            if before is not None and _repeats(entry, entries[before]):
                repeats[place] = before
            latest[key] = place
    return repeats


def _repeats(entry: Entry, other: Entry) -> bool:
    """Whether a snapshot shares all that it says with another one, and has no history of its own."""
    return (
        entry.data is other.data
        and entry.raw is other.raw
        and entry.data is not None
        and entry.source == other.source
        and not (entry.record or entry.retracted or entry.older or other.retracted)
    )


def encode_repeat(entry: Entry, other: Entry, distance: int) -> bytes:
    """Return a snapshot that repeats the one so many places before it: what is different."""
    shared = next((at for at, (a, b) in enumerate(zip(entry.id, other.id, strict=False)) if a != b), 0)
    times = entry.time - other.time, entry.recorded - entry.time, entry.known - entry.recorded
    return _encoder.encode((distance, *times, shared, entry.id[shared:]))


def _decode_repeat(item: bytes, entries: list[Entry]) -> Entry:
    distance, later, recorded, known, shared, rest = _repeat_decoder.decode(item)
    if not 0 < distance <= len(entries):
        raise IndexError
    other = entries[-distance]
    time = other.time + later
    told = time + recorded
    learned, name = told + known, other.id[:shared] + rest
    return Entry(
        other.kind, time, told, learned, other.source, name, None, other.data, False, None, 0, other.raw
    )


def decode_state(value: bytes) -> AccountState:
    """Return the state of stored bytes. Raises msgspec.DecodeError if they are not a state."""
    return open_log(value)[0]


def open_log(value: bytes) -> tuple[AccountState, StateLog]:
    """Return the state of stored bytes, and what notes its changes from here on. Raises msgspec.DecodeError."""
    if len(value) >= _BEFORE_WHOLE:
        first, items, mark, base = _read_whole(value)
        if first == LOG and items == 1 and mark == _WHOLE:
            state = _array_decoder.decode(value[_BEFORE_WHOLE:])
            return state, StateLog(len(value), base, astuple(state))
    if not is_log(value):
        return _array_decoder.decode(value), StateLog(len(value))
    body, rest = _split(value)
    state = _array_decoder.decode(body) if body else AccountState()
    base = _replay(state, _decoder.decode(rest)) or len(body)
    return state, StateLog(len(value), base, astuple(state))


def _split(value: bytes) -> tuple[bytes, bytes]:
    """Return the state of a log as it was last written as a whole, and the log of what has changed since."""
    if len(value) < _BEFORE_WHOLE or value[HEADER] != _WHOLE:
        return b"", value
    stop = _BEFORE_WHOLE + int.from_bytes(value[HEADER + 1 : _BEFORE_WHOLE], "big")
    return value[_BEFORE_WHOLE:stop], begin_log(count_items(value) - 1) + value[stop:]


def _replay(state: AccountState, items: list[Entry | dict[int, Any] | int | bytes]) -> int:
    """Change a state by the items of a log; return the bytes that it took as a whole, 0 if none says so."""
    heads = [one for one in items if type(one) is dict]
    facts = [one for one in items if type(one) is Entry]
    if len(facts) + len(heads) < len(items):
        _replay_facts(state.entries, items)
    else:
        state.entries += facts
    head: dict[int, Any] = {}
    for one in heads:
        head.update(one)
    base = msgspec.convert(head.pop(_BASE, 0), int)
    _set_fields(state, head)
    return base


def _replay_facts(entries: list[Entry], items: list[Entry | dict[int, Any] | int | bytes]) -> None:
    """Add, remove and replace facts as the items say, in their order."""
    replaced = -1
    try:
        for item in items:
            if type(item) is Entry:
                if replaced < 0:
                    entries.append(item)
                else:
                    entries[replaced], replaced = item, -1
            elif type(item) is bytes:
                entries.append(_decode_repeat(item, entries))
            elif type(item) is int:
                if item >= 0:
                    del entries[item]
                else:
                    replaced = ~item
    except IndexError:
        raise msgspec.DecodeError("a fact that is not there is removed, replaced or repeated") from None


def _set_fields(state: AccountState, head: dict[int, Any]) -> None:
    """Set the fields of a state that are in the head."""
    for number, field in head.items():
        if number >= len(_NAMES):
            raise msgspec.DecodeError(f"it has a field {number}, which a later version wrote")
        setattr(state, _NAMES[number], field if type(field) in _PLAIN[number] else _convert(field, number))


def _convert(field: Any, number: int) -> Any:
    """Return a field as its type. Memberships, which most states have, are made without a look at the type."""
    if number in _MEMBERSHIPS and type(field) is list and len(field) == len(Membership.__struct_fields__):
        segment, entered, left = field
        if type(segment) in _SEGMENT and type(entered) is int and left == {}:
            return Membership(segment, entered)
    return msgspec.convert(field, _HINTS[number])


# arrays of the fields, whose facts stay undecoded; mypyc does not know the keywords of a Struct
_Array: Final = msgspec.defstruct(
    "_Array",
    [("entries", msgspec.Raw, msgspec.Raw()), ("membership", Membership, Membership())],
    array_like=True,
)
_array: Final[Any] = msgspec.msgpack.Decoder(_Array)
_Head: Final = msgspec.defstruct(
    "_Head",
    [("entries", msgspec.Raw), *zip(_NAMES[1:], _HINTS[1:], _DEFAULTS[1:], strict=True)],
    array_like=True,
    forbid_unknown_fields=True,
)
_head: Final = msgspec.msgpack.Decoder(_Head)


def decode_head(value: bytes) -> AccountState:
    """Return the segment and, of a log, all other fields of stored bytes without the facts, which stay undecoded.

    Raises msgspec.DecodeError.
    """
    if not is_log(value):
        return AccountState(membership=_array.decode(value).membership)
    body, rest = _split(value)
    state = AccountState(*([], *astuple(_head.decode(body))[1:])) if body else AccountState()
    head: dict[int, Any] = {}
    for item in _raw_decoder.decode(rest):
        first = memoryview(item)[0]
        if 0x80 <= first <= 0x8F or first in {0xDE, 0xDF}:
            head.update(_head_decoder.decode(item))
    head.pop(_BASE, None)
    _set_fields(state, head)
    return state
