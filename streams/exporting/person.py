"""The person that an export is about: what is theirs for certain, and what may be another person's.

An e-mail or LinkedIn address identifies a person at any account, a full name at one account. A phone number, a first name
and an address that stands beside several names identify nobody.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from resegment.errors import UserError
from resegment.schemas.privacy.fields import normalize_person, spell_plainly
from resegment.streams.exporting.calling import Called, are_one, is_full_name, read_called, spell_address

Doubt = Literal["phone", "lone_name", "shared_address", "other_address", "several_persons"]
"""Why something may be about the person, or about another one."""

_ANYWHERE: Final = ""
"""In the place of an account: addresses are the same at all of them."""


class Way(NamedTuple):
    """A full name at an account, or an address."""

    account: str
    text: str

    @property
    def is_address(self) -> bool:
        return self.account == _ANYWHERE


class IdentifiesNobody(UserError):
    """Several persons may be called so."""

    def __init__(self, called: str) -> None:
        super().__init__(
            f"several persons may be called {called!r}",
            remedy="Give an e-mail or LinkedIn address, or an account and a full name.",
        )


class Person:
    """A person by what they are called.

    Facts that have an address beside a full name link the two. `learn` has to see all facts until `settle` says that
    nothing new was linked.
    """

    def __init__(
        self, given: Iterable[str], account: str | None = None, place: Callable[[str], str] = str
    ) -> None:
        """Take what the person is called: addresses, and full names at an account.

        `place` returns the account that an account is part of. Raises IdentifiesNobody.
        """
        self._place = place
        self._given: set[Way] = set()
        for one in given:
            address = spell_address(one)
            if address is not None:
                self._given.add(Way(_ANYWHERE, address))
            elif account is not None and is_full_name(one):
                self._given.add(Way(place(account), normalize_person(one)))
            else:
                raise IdentifiesNobody(one)
        self._beside: dict[Way, set[Way]] = {}
        self._vague: dict[Way, set[str]] = {}
        self._own: frozenset[Way] = frozenset(self._given)
        self._hints: dict[str, frozenset[str]] = {}
        self._searches: dict[str, re.Pattern[str] | None] = {}
        self._watch(self._given)

    @property
    def spellings(self) -> list[str]:
        """Return all that the person is called for certain."""
        return sorted({one.text for one in self._own})

    def learn(self, account: str, data: Mapping[str, Any]) -> None:
        """Learn from a fact which names and addresses stand beside each other."""
        called = read_called(data)
        if not (called.addresses or called.names):
            return
        ways = self._ways(account, called)
        for one in ways & self._beside.keys():
            self._beside[one] |= ways - {one}
            self._vague[one] |= called.vague

    def settle(self) -> bool:
        """Take what was linked for the person's. Return whether facts have to be seen again for what is new."""
        own, seen, left = set[Way](), set[Way](), _names_first(self._given)
        while left:
            way = left.popleft()
            if way in own or not self._may_be_own(way, own):
                continue
            own.add(way)
            beside = self._beside.get(way, set())
            seen |= beside
            if way.is_address or way in self._given:  # two of one name have addresses of their own
                left.extend(_names_first(one for one in beside if one in self._beside))
        self._own = frozenset(own)
        self._hints.clear()
        self._searches.clear()
        new = (seen | own) - self._beside.keys()
        self._watch(new)
        return bool(new)

    def is_own(self, account: str, data: Mapping[str, Any]) -> bool:
        """Return whether data are about the person, and about nobody else."""
        called = read_called(data)
        return bool(self._ways(account, called) & self._own) and self.doubt(account, called) is None

    def doubt(self, account: str, called: Called) -> Doubt | None:
        """Return why what is called so may be the person or another one; None where it is one of the two for certain."""
        ways = self._ways(account, called)
        own = ways & self._own
        if own:
            known = {one.text for one in own if not one.is_address}
            if not are_one({*called.names, *known}):
                return "several_persons"
            foreign = [one for one in ways - own if one.is_address and not self._is_shared(one)]
            return "other_address" if foreign else None
        if any(one in self._given and one.is_address for one in ways):
            return "shared_address"
        if ways:
            return None
        hints = self._hints_at(account)
        if called.vague.isdisjoint(hints):
            return None
        return "phone" if any(char.isdigit() for one in called.vague & hints for char in one) else "lone_name"

    def is_named_in(self, account: str, text: str) -> bool:
        """Return whether a text has a name or an address of the person as whole words."""
        place = self._place(account)
        if place not in self._searches:
            texts = [one.text for one in self._own if one.is_address or one.account == place]
            self._searches[place] = _search_for(texts) if texts else None
        search = self._searches[place]
        return search is not None and search.search(spell_plainly(text)) is not None

    def _ways(self, account: str, called: Called) -> set[Way]:
        place = self._place(account)
        return {Way(_ANYWHERE, one) for one in called.addresses} | {Way(place, one) for one in called.names}

    def _watch(self, ways: Collection[Way]) -> None:
        for one in ways:
            self._beside.setdefault(one, set())
            self._vague.setdefault(one, set())

    def _may_be_own(self, way: Way, own: Collection[Way]) -> bool:
        """Return whether a way is the person's, given what is known: not an address of several, or of another name."""
        if not way.is_address:
            return True
        names = {one.text for one in self._beside.get(way, ()) if not one.is_address}
        known = [one.text for one in own if not one.is_address]
        fits = not (names and known) or any(are_one({one, *names}) for one in known)
        return fits and not self._is_shared(way)

    def _is_shared(self, address: Way) -> bool:
        """Return whether several persons have an address: it stands beside names, or pages, that are not one person's."""
        beside = self._beside.get(address, set())
        names = {one.text for one in beside if not one.is_address}
        pages = {one.text for one in beside if one.is_address and "@" not in one.text}
        return not are_one(names) or ("@" in address.text and len(pages) > 1)

    def _hints_at(self, account: str) -> frozenset[str]:
        """Return phone numbers and lone names that may mean the person at an account."""
        place = self._place(account)
        if place not in self._hints:
            mine = [one for one in self._own if one.is_address or one.account == place]
            lone = {part for one in mine if not one.is_address for part in one.text.split()}
            self._hints[place] = frozenset(lone.union(*(self._vague.get(one, ()) for one in mine)))
        return self._hints[place]


def _names_first(ways: Iterable[Way]) -> deque[Way]:
    return deque(sorted(ways, key=lambda one: (one.is_address, one)))


def _search_for(texts: Collection[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_whole, texts)))


def _whole(text: str) -> str:
    """Return the pattern of a name or an address that is not a part of a longer one."""
    escaped = re.escape(text)
    if "@" in text:
        return rf"(?<![\w.@+%-]){escaped}(?![\w@-]|\.\w)"
    if "/" in text:
        return rf"(?<![\w@-]){escaped}(?![\w@-]|[./]\w)"
    if " " not in text:  # of a script without spaces
        return escaped
    return rf"(?<![\w-])(?<!\w['’]){escaped}(?![\w-])"
