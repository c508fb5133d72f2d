"""Fold facts into an account where facts of different sources may be one: each group enters the indexes once."""

from __future__ import annotations

from resegment.schemas.state import Entry
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.fold import Fold
from resegment.segmentation.evaluation.groups.groups import Grouper, Groups, Moved
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention


class GroupingFold(Fold):
    """A fold for a file that has `same`."""

    def __init__(self, program: Program, retention: Retention | None = None) -> None:
        super().__init__(program, retention)
        self._grouper = Grouper(program.definition.same)
        self._stored: list[Entry] | None = None
        """While a stored state is indexed: its facts that may be the same as others."""

    def _enter_stored(self, account: Account, touched: set[int]) -> None:
        self._stored = []
        try:
            super()._enter_stored(account, touched)
            stored = self._stored
        finally:
            self._stored = None
        if stored:
            account.groups = Groups(self._grouper)
            for one in account.groups.fill(stored):
                super()._enter(account, one, touched)

    def _enter(self, account: Account, entry: Entry, touched: set[int]) -> None:
        if entry.kind not in self._grouper.by_kind:
            super()._enter(account, entry, touched)
            return
        if self._stored is not None:
            self._stored.append(entry)
            return
        if account.groups is None:
            account.groups = Groups(self._grouper)
        self._move(account, account.groups.add(entry), touched)

    def _leave(self, account: Account, entry: Entry, touched: set[int]) -> None:
        if account.groups is None or entry.kind not in self._grouper.by_kind:
            super()._leave(account, entry, touched)
        else:
            self._move(account, account.groups.remove(entry), touched)

    def _move(self, account: Account, moved: Moved, touched: set[int]) -> None:
        for one in moved.out:
            super()._leave(account, one, touched)
        for one in moved.into:
            super()._enter(account, one, touched)


def fold_for(program: Program, retention: Retention | None = None) -> Fold:
    """Return what folds facts for a program."""
    return (GroupingFold if program.definition.same else Fold)(program, retention)
