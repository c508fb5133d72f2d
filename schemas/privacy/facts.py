"""Seal the personal fields of a fact, and open them again."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from resegment.schemas.fact import Fact
from resegment.schemas.privacy.envelope import (
    DataKey,
    Forgotten,
    Sealer,
    Tampered,
    key_ids,
    open_sealed,
    sealer_of,
)
from resegment.schemas.privacy.fields import find_address, normalize_person, person_of

SEALED: Final = "sealed"
"""The field of a fact's data that holds its personal fields. A producer's own field of this name is sealed too."""
HIDDEN: Final = "h."
"""What stands before the hash in place of an id that a personal value was in."""
SHORTEST: Final = 3
"""A personal value of fewer characters is not looked for in ids: it would be in many."""

_Path = list[str | int]
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_BETWEEN: Final = re.compile(r"[\W_]+")
_CONTAINERS: Final = frozenset((dict, list))


def account_of(fact: Fact) -> str:
    """Return the account that a fact was sealed for: a merge passes it on as it is."""
    return fact.via[0][0] if fact.via else fact.account


def subject_of(fact: Fact) -> str | None:
    """Return the person that a fact is about, normalized: that of its data, else an address in its ids."""
    found = person_of(fact.data)
    if found is None and ("@" in fact.record or "@" in fact.id):
        address = find_address(fact.record) or find_address(fact.id)
        return None if address is None else normalize_person(address)
    return found


def has_personal(fact: Fact, names: frozenset[str]) -> bool:
    """Return whether sealing changes a fact. `names` are the personal fields of its kind."""
    data = fact.data
    if not names.isdisjoint(data) or SEALED in data:
        return True
    if "@" in fact.record and find_address(fact.record) is not None:
        return True
    if "@" in fact.id and find_address(fact.id) is not None:
        return True
    for value in data.values():  # noqa: SIM110  # twice as fast as any(), and asked of every fact
        if type(value) in _CONTAINERS and _holds(value, names):
            return True
    return False


def _holds(value: Any, names: frozenset[str]) -> bool:
    """Return whether a container has a personal field at any depth."""
    if type(value) is dict:
        return not names.isdisjoint(value) or any(
            type(one) in _CONTAINERS and _holds(one, names) for one in value.values()
        )
    return any(type(one) in _CONTAINERS and _holds(one, names) for one in value)


def seal_fact(fact: Fact, names: frozenset[str], keys: Sequence[DataKey]) -> Fact:
    """Return the fact with its personal fields as one ciphertext; the same object where it has none.

    An id or record that holds a personal value, or an e-mail address, is replaced by a keyed hash. The same fact always
    becomes the same sealed fact.
    """
    return seal_personal(fact, names, keys[-1], sealer_of(keys)) if has_personal(fact, names) else fact


def seal_personal(fact: Fact, names: frozenset[str], key: DataKey, sealer: Sealer) -> Fact:
    """Seal a fact of which it is known that it has personal fields; `key` is the last one of the sealer."""
    taken: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    nested: list[list[Any]] = []
    for name, value in fact.data.items():
        if name in names or name == SEALED:
            taken[name] = value
        elif type(value) in _CONTAINERS and _holds(value, names):
            kept[name] = _take(value, names, [name], nested)
        else:
            kept[name] = value
    words = _words_in(taken, [])
    for _, value in nested:
        _words_in(value, words)
    own_id, own_record = fact.id, fact.record
    hides_record = _is_personal(own_record, words)
    hides_id = hides_record if own_id == own_record else _is_personal(own_id, words)
    given: list[Any] = [taken]
    if nested or hides_id or hides_record:
        given += [nested, own_id if hides_id else None, own_record if hides_record else None]
    record = _hide(own_record, key) if hides_record else own_record
    kept[SEALED] = sealer.seal(_encode(given), _context(fact, record))
    return Fact(
        account=fact.account,
        kind=fact.kind,
        id=_hide(own_id, key) if hides_id else own_id,
        source=fact.source,
        record=record,
        time=fact.time,
        recorded=fact.recorded,
        op=fact.op,
        data=kept,
        via=fact.via,
    )


def _context(fact: Fact, record: str) -> list[bytes]:
    """Return what binds an envelope to its place: the account, the kind and the record, separated by zeros."""
    account = fact.via[0][0] if fact.via else fact.account
    return [f"{account}\0{fact.kind}\0{record}".encode("utf-8", "surrogatepass")]


def _take(value: Any, names: frozenset[str], path: _Path, nested: list[list[Any]]) -> Any:
    """Return a container without its personal fields, and note each with its path."""
    if type(value) is list:
        return [
            _take(one, names, [*path, place], nested) if type(one) in _CONTAINERS else one
            for place, one in enumerate(value)
        ]
    kept = {}
    for name, one in value.items():
        if name in names:
            nested.append([[*path, name], one])
        else:
            kept[name] = _take(one, names, [*path, name], nested) if type(one) in _CONTAINERS else one
    return kept


def _words_in(value: Any, words: list[str]) -> list[str]:
    """Add the texts in a value that are looked for in ids."""
    for one in value.values() if type(value) is dict else value if type(value) is list else (value,):
        if type(one) is str:
            if len(word := one.strip().casefold()) >= SHORTEST:
                words.append(word)
                if not word.isascii() and (plain := _strip_marks(word)) != word:
                    words.append(plain)
                if len(local := word.partition("@")[0]) >= SHORTEST and local != word:
                    words.append(local)
        elif type(one) in _CONTAINERS:
            _words_in(one, words)
    return words


def _is_personal(text: str, words: Sequence[str]) -> bool:
    if "@" in text and find_address(text) is not None:
        return True
    lower, squeezed = text.casefold(), ""
    for word in words:
        start = word[:2]
        if start not in lower and start.isalnum():  # most are not in it at all
            continue
        if word in lower or (" " in word and all(part in lower for part in word.split())):  # in any order
            return True
        if len(slug := _squeeze(word)) >= SHORTEST:
            squeezed = squeezed or _squeeze(lower)
            if slug in squeezed:
                return True
    return False


def _strip_marks(text: str) -> str:
    """Return a text without accents, as ids are often spelled."""
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


def _squeeze(text: str) -> str:
    """Return the letters and digits of a text: what a slug of it has too."""
    return _BETWEEN.sub("", text)


def _hide(text: str, key: DataKey) -> str:
    hashed = hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=16, key=key.secret, person=b"id"
    )
    return HIDDEN + urlsafe_b64encode(hashed.digest()).decode()[:22]


def sealed_of(fact: Fact) -> str | None:
    """Return the envelope of a fact, None where nothing in it is sealed."""
    found = fact.data.get(SEALED)
    return found if type(found) is str and found.startswith("s1.") else None


def keys_of(fact: Fact) -> tuple[str, ...]:
    """Return the ids of the keys that a fact needs; none where nothing in it is sealed, or what it has is no envelope."""
    found = fact.data.get(SEALED)
    if type(found) is not str:
        return ()
    try:
        return key_ids(found)
    except Tampered:
        return ()


def open_fact(fact: Fact, keys: Mapping[str, DataKey]) -> Fact | None:
    """Return the fact as it was before it was sealed, the same object if it was not; None where a key was destroyed.

    A fact whose key was destroyed is absent: it counts for nothing. Raises Tampered for one that does not open.
    """
    text = fact.data.get(SEALED)
    if text is None or not keys_of(fact):
        return fact
    try:
        plain = open_sealed(text, keys, _context(fact, fact.record))
    except Forgotten:
        return None
    return _restore_all(fact, plain)


def open_personal(fact: Fact, text: str, start: int, sealer: Sealer) -> Fact:
    """Return the fact as it was before its envelope, whose ciphertext begins at `start`. Raises Tampered."""
    return _restore_all(fact, sealer.open(text, start, _context(fact, fact.record)))


def _restore_all(fact: Fact, plain: bytes) -> Fact:
    try:
        return _restore(fact, _decode(plain))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, RecursionError):
        raise Tampered("what is sealed are no fields of a fact") from None


def _restore(fact: Fact, given: Any) -> Fact:
    taken, nested, own_id, own_record = given if len(given) > 1 else (given[0], (), None, None)
    data = {**fact.data, **taken}
    if SEALED not in taken:
        del data[SEALED]
    for path, value in nested:
        _put(data, path, value)
    return Fact(
        account=fact.account,
        kind=fact.kind,
        id=fact.id if own_id is None else own_id,
        source=fact.source,
        record=fact.record if own_record is None else own_record,
        time=fact.time,
        recorded=fact.recorded,
        op=fact.op,
        data=data,
        via=fact.via,
    )


def _put(data: dict[str, Any], path: _Path, value: Any) -> None:
    """Put a nested field back. The containers on its way are copied: others may share them."""
    at: Any = data
    for step in path[:-1]:
        at[step] = type(at[step])(at[step])
        at = at[step]
    at[path[-1]] = value
