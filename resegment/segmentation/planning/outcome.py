"""Compare what a switch did with what was planned, account by account."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from resegment.segmentation.planning.plan import Move, Plan


class Departed(msgspec.Struct, frozen=True, kw_only=True):
    """An account that the switch did not move as planned; from and to. None: it did not move it."""

    account: str
    planned: tuple[str, str] | None
    done: tuple[str, str] | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a switch did. `as_planned` counts the moves that the plan has, `departed` are the accounts that differ.

    `unread` counts the records among the changes that are none.
    """

    moved: int
    planned: int
    as_planned: int
    departed: tuple[Departed, ...] = ()
    unread: int = 0


def compare_outcome(plan: Plan, done: Mapping[str, tuple[str, str]], *, unread: int = 0) -> Outcome:
    """Compare a plan with the moves that were made, by account."""
    planned = {one.account: _pair(one) for one in plan.moves}
    departed = [
        Departed(account=account, planned=planned.get(account), done=done.get(account))
        for account in sorted(planned.keys() | done.keys())
        if planned.get(account) != done.get(account)
    ]
    same = sum(done.get(account) == pair for account, pair in planned.items())
    return Outcome(
        moved=len(done), planned=len(planned), as_planned=same, departed=tuple(departed), unread=unread
    )


def _pair(move: Move) -> tuple[str, str]:
    return move.from_, move.to
