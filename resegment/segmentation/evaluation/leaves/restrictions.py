"""Find what restricts outreach to an account beside its suppressions: persons not to contact, and a lost deal."""

from __future__ import annotations

from typing import Final

from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_subject
from resegment.schemas.change import Restrictions
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.leaves.leaves import Leaf, Verdict
from resegment.segmentation.evaluation.measures.measures import Attribute
from resegment.segmentation.evaluation.measures.newest import NewestOf

MAX_PERSONS: Final = 500
"""How many persons are named at most: the newest."""
MAX_NAME: Final = 320
"""The most characters of a person's name or address, which is as long as an address can be."""


UNRESTRICTED: Final = Restrictions()
"""Of an account without such facts."""


class RestrictionsLeaf(Leaf):
    """Reads the restrictions of an account. As a test it is always false: it matters when its facts change."""

    def __init__(
        self, persons: tuple[NewestOf, ...], lost: NewestOf, cooldown: int, parent: Attribute | None
    ) -> None:
        self._persons, self._lost, self._cooldown, self._parent = persons, lost, cooldown, parent
        self._series = frozenset(number for one in (*persons, lost) for number in one.series)

    def evaluate(self, account: Account, t: int) -> Verdict:
        """Return false, and until when the restrictions last if no fact arrives."""
        until = min(one.boundary(account, t) for one in (*self._persons, self._lost))
        return False, until if self._parent is None else min(until, self._parent.boundary(account, t))

    def read(self, account: Account, t: int) -> Restrictions:
        """Return the restrictions at t. A cooldown that is over stays, so that its end changes nothing."""
        parent = None if self._parent is None else _resolve(self._parent.value(account, t), account.name)
        if self._series.isdisjoint(account.series):
            return UNRESTRICTED if parent is None else Restrictions(parent=parent)
        lost = self._lost.facts(account, t) if self._cooldown else ()
        return Restrictions(self._name(account, t), lost[-1].time + self._cooldown if lost else 0, parent)

    def _name(self, account: Account, t: int) -> tuple[str, ...]:
        """Return the persons not to contact, each as the newest fact about them writes it."""
        facts = [fact for one in self._persons for fact in one.facts(account, t)]
        if not facts:
            return ()
        named: dict[str, str] = {}
        for fact in sorted(facts, key=lambda one: (one.time, one.id, one.source), reverse=True):
            name = str((fact.data or {}).get("person", "")).strip()[:MAX_NAME]
            if name and len(named) < MAX_PERSONS:
                named.setdefault(name.casefold(), name)
        return tuple(sorted(named.values()))


def _resolve(parent: object, name: str) -> str | None:
    """Return the account that a text means; None for another value, or if an account is said to be its own parent."""
    if not isinstance(parent, str):
        return None
    try:
        found = resolve_subject(parent)
    except RefusedEvent:
        return None
    return None if found == name else found
