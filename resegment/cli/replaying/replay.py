"""Replay packed accounts, and keep what the command wants of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from resegment.cli.replaying.packing import PackedAccount, PackedFact
from resegment.console.terminal import encode_line
from resegment.schemas.change import SegmentChange
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import net_changes
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.idle_facts import SMALL, find_idle
from resegment.segmentation.inspection.summary import Move
from resegment.segmentation.versions.timeline import Timeline

FIRST: Final = ("account", "from", "to", "effective_at", "sequence_number", "cause", "reason")
"""The keys that people look for come first."""

_FIELDS: Final = dict(
    zip(SegmentChange.__struct_encode_fields__, SegmentChange.__struct_fields__, strict=True)
)
_NAMES: Final = (*FIRST, *(name for name in _FIELDS if name not in FIRST))
_values_of: Final = attrgetter(*(_FIELDS[name] for name in _NAMES))

Line = tuple[int, str, int, bytes]
"""A line with what it is sorted by: an instant (or 0), the account, and the number of the change (or 0)."""


class Wanted(msgspec.Struct, frozen=True):
    """What is kept of a replay. `until` is its last instant; None: until time changes nothing more."""

    until: int | None = None
    accounts_only: bool = False
    lines: bool = True
    moves: bool = False


class Replayed(msgspec.Struct):
    """What came of some accounts, in the order of their names.

    `same_ids` has the source of each event that has the id of an earlier one and says something else, with its number.
    """

    facts: int = 0
    lines: list[Line] = []
    moves: list[Move] = []
    misfits: dict[str, int] = {}
    same_ids: list[tuple[int, str]] = []


def replay_batch(timeline: Timeline, batch: Sequence[PackedAccount], wanted: Wanted) -> Replayed:
    """Replay accounts."""
    renewed, replayed = timeline.renewed(), Replayed()
    judge = renewed.sole or renewed
    most = timeline.newest.engine.program.limits.account_bytes
    for packed in batch:
        facts = packed.unpack()
        small = len(packed.rows) * SMALL <= most
        idle = find_idle(facts, [fact.unread for fact in facts]) if small else frozenset()
        ordered = _order(facts, replayed.same_ids)
        account, changes = replay_account(
            judge, packed.name, ordered, wanted.until, unwritten=True, idle=idle
        )
        replayed.facts += packed.count
        _keep(account, net_changes(changes), wanted, replayed)
    replayed.misfits = dict(Counter(judge.misfits))
    return replayed


def _order(facts: list[PackedFact], same_ids: list[tuple[int, str]]) -> Sequence[PackedFact]:
    """Return the facts in the order in which they became known, each id of a source once; note what contradicts."""
    first: dict[tuple[str, str], PackedFact] = {}
    for fact in facts:
        held = first.setdefault((fact.source, fact.id), fact)
        if held is not fact and not held.says_the_same(fact):
            same_ids.append((fact.number, fact.source))
    if len(first) < len(facts):
        return order_of_delivery(facts)  # type: ignore[return-value]  # the same facts
    facts.sort(key=_recorded)
    return facts


_recorded: Final = attrgetter("recorded")


def _keep(account: Account, changes: Sequence[SegmentChange], wanted: Wanted, replayed: Replayed) -> None:
    if wanted.moves:
        replayed.moves.extend(Move.of(change) for change in changes)
    if not wanted.lines:
        return
    if not wanted.accounts_only:
        replayed.lines.extend(
            (one.effective_at, one.account, one.sequence_number, encode_line(_describe(one)))
            for one in changes
        )
    elif (described := _describe_account(account)) is not None:
        replayed.lines.append((0, account.name, 0, encode_line(described)))


def _describe(change: SegmentChange) -> dict[str, Any]:
    """Return a change as the command prints it: JSON with instants in RFC 3339."""
    plain = dict(zip(_NAMES, _values_of(change), strict=True))
    plain["cause"] = msgspec.to_builtins(change.cause)
    effective = plain["effective_at"] = format_instant(change.effective_at)
    same = change.decided_at == change.effective_at
    plain["decided_at"] = effective if same else format_instant(change.decided_at)
    plain["lost_until"] = format_instant(change.lost_until) if change.lost_until else None
    return plain


def _describe_account(account: Account) -> dict[str, Any] | None:
    """Return the account's segment and since when; None before anything is known about it."""
    member = account.state.membership
    if member.segment is None:
        return None
    return {"account": account.name, "segment": member.segment, "since": format_instant(member.entered)}
