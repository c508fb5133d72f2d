"""What `status` says of names that are not resolved, and of aliases of the file that are accounts of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from resegment.identity.aliases import file_aliases
from resegment.state.redis.reader import PrefixReader
from resegment.streams.prefix import waiting_of

SHOWN: Final = 3
MOST: Final = 10_000
"""Aliases of the file that are looked up."""


@dataclass(frozen=True, slots=True)
class IdentityLook:
    """How many events wait for how many names; and aliases of the file that have facts of their own, with their account."""

    events: int = 0
    names: int = 0
    separate: Sequence[tuple[str, str]] = ()


async def look_at_identities(reader: PrefixReader, held: Mapping[str, str]) -> IdentityLook:
    """Look at a prefix; `held` is its record. Raises StoreUnavailable."""
    aliases = list(file_aliases().items())[:MOST]
    separate: list[tuple[str, str]] = []
    for start in range(0, len(aliases), 500):
        some = aliases[start : start + 500]
        states = await reader.states([alias for alias, _ in some])
        separate += [
            pair
            for pair, state in zip(some, states, strict=True)
            if state is not None and state.membership.segment is not None
        ]
    events, names = waiting_of(held)
    return IdentityLook(events, names, separate)


def find_identity_notes(look: IdentityLook) -> list[str]:
    """Return what people should know, one sentence each."""
    lines = [
        f"{alias} is an alias of {account} by the file, and still an account of its own: "
        f"`resegment accounts merge {alias} {account}` makes them one"
        for alias, account in look.separate[:SHOWN]
    ]
    if len(look.separate) > SHOWN:
        lines.append(f"so are {len(look.separate) - SHOWN:,} more aliases of the file")
    if look.events:
        lines.append(
            f"{look.events:,} {'event waits' if look.events == 1 else 'events wait'} because "
            f"{'a name or id means' if look.names == 1 else f'{look.names:,} names or ids mean'} no account yet: "
            "`resegment accounts unresolved` shows them"
        )
    return lines
