"""Know which accounts were merged into which, and which names mean an account: what the topic `identities` says.

The order of the records is the truth. A wish that contradicts what holds at its place counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from resegment.schemas.identities.records import Alias, Merge, Settled, Unmerge, decode_identity_record


@dataclass(frozen=True, slots=True)
class Operation:
    """A merge or unmerge that counts. `path` has the accounts that the alias's facts went through, the last one first.

    Of a merge, `account` is the one that the alias is merged into; of an unmerge, the one that it leaves.
    """

    number: int
    kind: Literal["merge", "unmerge"]
    alias: str
    account: str
    at: int
    author: str = ""
    path: tuple[str, ...] = ()


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

    def take(self, value: bytes | None) -> None:
        """Take the next record. One that is not understood has a number and no meaning."""
        self.taken += 1
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
        path = [self._into[alias]]
        while path[-1] in self._into:
            path.append(self._into[path[-1]])
        del self._into[alias]
        self.operations[number] = Operation(
            number, "unmerge", alias, path[0], record.at, record.author, tuple(reversed(path))
        )

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


NO_IDENTITIES: Final = Identities()
