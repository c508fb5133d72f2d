"""Find since when an account's segment holds by its facts, however late they became known."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from resegment.schemas.state import AccountState, Entry
from resegment.segmentation.evaluation.engine import Engine


class EntryTime(NamedTuple):
    """When an account entered its segment (ms). `limited`: facts that are no longer kept may place it earlier."""

    at: int
    limited: bool


def find_entry_time(engine: Engine, name: str, state: AccountState, t: int) -> EntryTime:
    """Return since when the segment that the account has at t holds without interruption, by its facts.

    Each fact counts from its own `time`, as if it had been known then, and the engine's program judges all the time. Where
    that does not lead to the account's segment at t, because of `hold` or of the order in which facts became known, it
    is when the account was moved there. The state stays as it is.
    """
    member = state.membership
    limited = has_forgotten(state)
    entries = [replace(entry) for entry in state.entries if not entry.retracted and entry.time <= t]
    if not entries or member.segment is None:
        return EntryTime(member.entered, limited)
    account = engine.open(name, AccountState(entries=entries))
    first = min(map(_time, entries))
    engine.apply_facts(account, (), first)
    engine.advance(account, t)
    found = account.state.membership
    if found.segment != member.segment:
        return EntryTime(member.entered, limited)
    return EntryTime(min(found.entered, member.entered) if limited else found.entered, limited)


def has_forgotten(state: AccountState) -> bool:
    """Return whether facts of the account may have been forgotten: few are never looked through."""
    return state.limited.room > 0 or state.dropped > 0


def _time(entry: Entry) -> int:
    return entry.time
