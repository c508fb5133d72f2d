"""Credits outcomes one by one, in plain Python: slow, and written from the rules alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.ledger import LedgerItem
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid
from resegment.schemas.vocabulary import DEAL_ACTIONS, OUTREACH_ACTIONS

Credit = tuple[str | None, str | None, str | None]
"""The touch, the rule, and the reason why there is none."""


class NaiveAccount:
    """All that is known of what is one account now."""

    def __init__(self, items: Sequence[LedgerItem], window: int) -> None:
        self.window = window
        void = {one.change for one in items if isinstance(one, TouchVoid)}
        touches: dict[str, Touch] = {}
        for one in items:
            if isinstance(one, Touch) and (one.touch not in touches or one.at < touches[one.touch].at):
                touches[one.touch] = one
        self.void = {one.touch for one in touches.values() if one.change in void}
        self.touches = sorted(
            (one for one in touches.values() if one.change not in void), key=lambda one: (one.at, one.touch)
        )
        self.keys = [one for one in items if isinstance(one, TouchKey)]
        newest: dict[tuple[str, str], OutcomeFact] = {}
        facts = [one for one in items if isinstance(one, OutcomeFact)]
        for one in facts:
            ids = (one.source, one.record, one.id)
            twins = [twin for twin in facts if (twin.source, twin.record, twin.id) == ids]
            if one.recorded == min(twin.recorded for twin in twins):
                held = newest.get((one.source, one.record))
                if held is None or (one.recorded, one.id) > (held.recorded, held.id):
                    newest[one.source, one.record] = one
        self.outcomes = sorted(
            (one for one in newest.values() if not one.retracted),
            key=lambda one: (one.at, one.source, one.record),
        )
        self.deals = self._name_deals()

    def _name_deals(self) -> dict[tuple[str, str], str | None]:
        names: dict[tuple[str, str], str | None] = {}
        number = 0
        for one in self.outcomes:
            name = None
            if one.deal is not None:
                name = f"named {one.deal}"
            elif one.action in DEAL_ACTIONS:
                number += one.action == "opportunity_created"
                name = f"unnamed {number}"
            names[one.source, one.record] = name
        return names

    def order(self, one: OutcomeFact) -> tuple[int, int]:
        return begins(one), self.outcomes.index(one)

    def meant_by(self, key: str) -> Touch | None:
        ids = {key, *(one.touch for one in self.keys if one.key == key)}
        meant = [one for one in self.touches if one.touch in ids]
        return meant[-1] if meant else None

    def credit(self, one: OutcomeFact) -> Credit:
        if one.key is not None:
            meant = self.meant_by(one.key)
            if meant is not None:
                return meant.touch, "key", None
            return None, None, "void" if one.key in self.void else "unknown-key"
        deal = self.deals[one.source, one.record]
        if deal is None:
            return self.credit_alone(one)
        together = [other for other in self.outcomes if self.deals[other.source, other.record] == deal]
        for other in together:
            if other.key is not None and (meant := self.meant_by(other.key)) is not None:
                return meant.touch, "deal", None
        first = min((other for other in together if other.key is None), key=self.order)
        touch, rule, reason = self.credit_alone(first)
        if first is one:
            return touch, rule, reason
        return touch, None if touch is None else "deal", reason

    def credit_alone(self, one: OutcomeFact) -> Credit:
        at = begins(one)
        if one.person is not None and one.sequence is not None:
            answered = [
                meant
                for other in self.outcomes
                if (other.person, other.sequence) == (one.person, one.sequence) and other.key is not None
                if (meant := self.meant_by(other.key)) is not None and meant.at <= at
            ]
            if answered:
                return max(answered, key=lambda touch: (touch.at, touch.touch)).touch, "person", None
            sent = [
                touch
                for touch in self.touches
                if touch.workflow == one.sequence and touch.at <= at and touch.arm == "enrolled"
            ]
            if sent:
                return sent[-1].touch, "person", None
        if not self.touches:
            return None, None, "no-touch"
        before = [touch for touch in self.touches if touch.at <= at]
        if not before:
            return None, None, "before-touch"
        near = [touch for touch in before if at - touch.at <= self.window]
        if one.action in OUTREACH_ACTIONS:
            # the latest one that anything was sent after
            sent = [touch for touch in before if touch.arm == "enrolled"]
            if sent and sent[-1] in near:
                return sent[-1].touch, "last-touch", None
            return None, None, "holdout" if near else "window"
        return (near[-1].touch, "last-touch", None) if near else (None, None, "window")


def begins(one: OutcomeFact) -> int:
    """Return when what an outcome is about began."""
    return one.at if one.opened_at is None else min(one.at, one.opened_at)


def credit_naively(
    items: Sequence[LedgerItem], window: int, accounts: Mapping[str, str]
) -> dict[tuple[str, str, str], Credit]:
    """Return the credit of each outcome, by account now, source and record."""
    groups: dict[str, list[LedgerItem]] = {}
    for one in items:
        groups.setdefault(accounts.get(one.account, one.account), []).append(one)
    found: dict[tuple[str, str, str], Credit] = {}
    for name, known in groups.items():
        account = NaiveAccount(known, window)
        found |= {(name, one.source, one.record): account.credit(one) for one in account.outcomes}
    return found
