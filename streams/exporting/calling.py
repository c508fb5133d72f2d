"""Read what data call a person: by what identifies one, and by what several may have."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from resegment.schemas.privacy.fields import CALLING, find_address, normalize_person

_PAGE: Final = re.compile(r"^(?:https?://)?(?:www\.)?(?=[^/\s]+\.[a-z]{2,}/)")
_WORD: Final = re.compile(r"[^\W\d_]+")
_WHOLE: Final = re.compile(r"[\u3400-\u9fff\uac00-\ud7a3]{3,}")
"""A full name of a script that puts no space between its parts."""


class Called(NamedTuple):
    """What data call their person: addresses and full names identify one, phone numbers and lone names do not."""

    addresses: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    vague: frozenset[str] = frozenset()

    @property
    def is_nobody(self) -> bool:
        """Return whether the data call nobody."""
        return not (self.addresses or self.names or self.vague)


def read_called(data: Mapping[str, Any]) -> Called:
    """Return what data call their person, each normalized."""
    addresses: set[str] = set()
    names: set[str] = set()
    vague: set[str] = set()
    first, last = data.get("first_name"), data.get("last_name")
    given = [*_texts(data.get(name) for name in CALLING if name != "linkedin")]
    if isinstance(first, str) and isinstance(last, str):
        given.append(f"{first} {last}")
    else:
        vague.update(map(normalize_person, _texts((first, last))))
    for one in given:
        address = spell_address(one)
        if address is not None:
            addresses.add(address)
        elif is_full_name(one):
            names.add(normalize_person(one))
        else:
            vague.add(normalize_person(one))
    addresses.update(spell_page(one) for one in _texts((data.get("linkedin"),)))
    vague.update(map(normalize_person, _texts((data.get("phone"),))))
    return Called(frozenset(addresses - {""}), frozenset(names), frozenset(vague - {""}))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for one in values:
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            yield from _texts(one)


def spell_address(text: str) -> str | None:
    """Return an e-mail address, or the address of a page, in one spelling; None for any other text."""
    plain = normalize_person(text)
    if " " in plain:
        return None
    if find_address(plain) == plain:
        return plain
    return spell_page(plain) if _PAGE.match(plain) else None


def spell_page(text: str) -> str:
    """Return the address of a page without what differs between its spellings."""
    return _PAGE.sub("", normalize_person(text)).partition("?")[0].rstrip("/")


def is_full_name(text: str) -> bool:
    """Return whether a text has a first and a last name. An initial is none, nor is a number."""
    return len(words_of(text)) > 1 or _WHOLE.search(text) is not None


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name without accents and without initials."""
    plain = "".join(
        one for one in unicodedata.normalize("NFKD", normalize_person(name)) if not unicodedata.combining(one)
    )
    return frozenset(one for one in _WORD.findall(plain) if len(one) > 1)


def are_one(names: Iterable[str]) -> bool:
    """Return whether full names may be one person's: one of them is in all others, which have more words at most."""
    words = sorted(map(words_of, names), key=len)
    return all(words[0] <= one for one in words)
