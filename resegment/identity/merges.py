"""Know which accounts are merged or forgotten, and which names mean an account: what the topic `identities` says.

The order of the records is the truth. A wish that contradicts what holds at its place counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from resegment.schemas.identities.records import (
    Alias,
    Forget,
    Lift,
    Merge,
    Settled,
    Unmerge,
    decode_identity_record,
)
from resegment.schemas.times import NEVER


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that counts. `path` has the accounts that the alias's facts went through, the last one first.

    Of a merge, `account` is the one that the alias is merged into; of an unmerge, the one that it leaves. Of a forget and
    of its lifting, `alias` and `account` are the same, and `path` has the account and all that were merged into it.
    `persons` are the names of the keys of forgotten persons; without them, the whole account is forgotten. `texts` and `pending`
    are as in the wish.
    """

    number: int
    kind: Literal["merge", "unmerge", "forget", "lift"]
    alias: str
    account: str
    at: int
    author: str = ""
    path: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    texts: bool = False
    pending: str = ""


class Identities:
    """The accounts and names as the records say that were taken so far."""

    def __init__(self) -> None:
        self.taken = 0
        """How many records were taken: the number of the last one."""
        self.operations: dict[int, Operation] = {}
        self.refused: dict[int, str] = {}
        """Why wishes count for nothing, or could not be carried out, by their number."""
        self.settled: set[int] = set()
        self.names: dict[str, str] = {}
        """The account of each name, id and page."""
        self.resolutions: dict[int, str] = {}
        """The names that were resolved, by the number of the record."""
        self._into: dict[str, str] = {}
        self.forgotten: dict[str, int] = {}
        """The accounts that are forgotten now, each with the number of the operation."""
        self.lifted: dict[str, int] = {}
        """Until when (ms) what was known of accounts stays forgotten that were forgotten once."""
        self._lifted_by_hosts: dict[str, int] = {}
        self._written = 0
        self.pending: set[str] = set()
        """The ids under which forgets that were recorded are pending."""
        self.forgotten_persons: dict[str, dict[str, int]] = {}
        """The ids of forgotten persons by account, each with the number of the operation."""

    def take(self, value: bytes | None, written: int = 0) -> None:
        """Take the next record, of a time (ms) of its host. One that is not understood has a number and no meaning."""
        self.taken += 1
        self._written = written
        try:
            record = decode_identity_record(value or b"")
        except msgspec.DecodeError:
            return
        match record:
            case Merge():
                self._merge(record)
            case Unmerge():
                self._unmerge(record)
            case Alias():
                self.names[record.name] = record.account
                self.resolutions[self.taken] = record.name
            case Settled():
                self._settle(record)
            case Forget():
                self._forget(record)
            case Lift():
                self._lift(record)

    def account_of(self, account: str) -> str:
        """Return the account that an account is part of now: itself, or the one that it was merged into."""
        while account in self._into:
            account = self._into[account]
        return account

    def merged(self) -> Mapping[str, str]:
        """Return the account of each alias that was merged into one."""
        return {alias: self.account_of(alias) for alias in self._into}

    def aliases_of(self, account: str) -> tuple[str, ...]:
        """Return the accounts that were merged into an account, at one remove or more."""
        return tuple(alias for alias, root in self.merged().items() if root == account)

    def absent(self) -> dict[str, int]:
        """Return the accounts of which nothing counts that was known up to an instant (ms)."""
        return {**self.lifted, **dict.fromkeys(self.forgotten, NEVER)}

    def absent_by_hosts(self) -> dict[str, int]:
        """Return the same accounts, each with the time (ms) up to which what a host wrote about it counts for nothing."""
        return {**self._lifted_by_hosts, **dict.fromkeys(self.forgotten, NEVER)}

    @property
    def open(self) -> Operation | None:
        """Return the first operation that is not carried out yet: none after it has begun."""
        return next((one for number, one in self.operations.items() if number not in self.settled), None)

    @property
    def unsettled_names(self) -> Mapping[int, str]:
        """Return the names whose events have not been put in again since they were resolved, by number."""
        return {number: name for number, name in self.resolutions.items() if number not in self.settled}

    def refusal(self, alias: str, account: str) -> str | None:
        """Say why an account cannot be merged into another one now; None if it can."""
        if alias == account:
            return f"{alias} is the same account"
        for one in (alias, account):
            if (root := self.account_of(one)) in self.forgotten:
                return f"{root} is forgotten: to lift that, run `resegment forget {root} --undo` first"
        if alias in self._into:
            into = self._into[alias]
            return f"{alias} is merged into {into} already: to change that, run `resegment accounts unmerge {alias}` first"
        if self.account_of(account) == alias:
            return (
                f"{account} is merged into {alias}: the merges would lead in a circle. "
                f"Run `resegment accounts unmerge {account}` first"
            )
        return None

    def _merge(self, record: Merge) -> None:
        number, alias, account = self.taken, record.alias, record.account
        why = self.refusal(alias, account)
        if why is not None:
            self.refused[number] = why
            return
        account = self.account_of(account)
        self._into[alias] = account
        self.operations[number] = Operation(
            number, "merge", alias, account, record.at, record.author, (account,)
        )

    def _unmerge(self, record: Unmerge) -> None:
        number, alias = self.taken, record.alias
        if alias not in self._into:
            self.refused[number] = f"{alias} is merged into no account"
            return
        if alias in self.forgotten:
            root = self.account_of(alias)
            self.refused[number] = (
                f"{root} is forgotten: to lift that, run `resegment forget {root} --undo` first"
            )
            return
        path = [self._into[alias]]
        while path[-1] in self._into:
            path.append(self._into[path[-1]])
        del self._into[alias]
        self.operations[number] = Operation(
            number, "unmerge", alias, path[0], record.at, record.author, tuple(reversed(path))
        )

    def why_not_forgotten(self, account: str) -> str | None:
        """Say why an account cannot be forgotten, or a person of it; None if it can."""
        root = self.account_of(account)
        if root != account:
            return (
                f"{account} is merged into {root}: `resegment forget {root}` forgets both. "
                f"To forget {account} alone, run `resegment accounts unmerge {account}` first"
            )
        return None

    def _forget(self, record: Forget) -> None:
        number, account = self.taken, record.account
        self.pending.add(record.pending)
        why = self.why_not_forgotten(account)
        if why is None and account in self.forgotten:
            why = f"{account} is forgotten already"
        if why is not None:
            self.refused[number] = why
            return
        path = (account, *self.aliases_of(account))
        if record.persons:
            known = self.forgotten_persons.setdefault(account, {})
            known.update(dict.fromkeys(record.persons, number))
        else:
            self.forgotten.update(dict.fromkeys(path, number))
        about = record.at, record.author, path, record.persons, record.texts, record.pending
        self.operations[number] = Operation(number, "forget", account, account, *about)

    def _lift(self, record: Lift) -> None:
        number, account = self.taken, record.account
        known = self.forgotten_persons.get(account, {})
        forgets = {known[one] for one in record.persons if one in known}
        if not (forgets if record.persons else account in self.forgotten):
            what = "the person" if record.persons else account
            self.refused[number] = f"{what} is not forgotten"
            return
        path = (account, *self.aliases_of(account))
        persons = tuple(one for one, forget in known.items() if forget in forgets)
        for one in persons:  # a person's other spellings too
            del known[one]
        if not persons:
            for one in path:
                self.forgotten.pop(one, None)
                self.lifted[one] = record.at
                self._lifted_by_hosts[one] = self._written
        about = record.at, record.author, path, persons
        self.operations[number] = Operation(number, "lift", account, account, *about)

    def _settle(self, record: Settled) -> None:
        if record.op in self.resolutions:
            self.settled.add(record.op)
            return
        one = self.operations.get(record.op)
        if one is None or record.op in self.settled:
            return
        self.settled.add(record.op)
        if record.refused:
            self.refused[record.op] = record.refused
            if one.kind == "merge" and self._into.get(one.alias) == one.account:
                del self._into[one.alias]
