"""What opens sealed facts: the port to the keys, for everything that reads `signals`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from resegment.schemas.fact import Fact
from resegment.schemas.privacy.envelope import Tampered

OpenFact = Callable[[Fact], Fact | None]
"""Opens a fact; None where it is absent, because a key was destroyed."""


class FactKeys(Protocol):
    """The keys of a prefix, for facts."""

    async def opener(self, facts: Iterable[Fact]) -> OpenFact:
        """Return what opens these facts, and facts that were sealed with the same keys.

        Calling it raises Tampered for a fact that does not open: it was set aside when it came. Raises StoreUnavailable.
        """
        ...

    def drop(self) -> None:
        """Take nothing from memory any more: the next look is into the store."""
        ...


async def open_with(keys: FactKeys | None, facts: Iterable[Fact]) -> OpenFact:
    """Return what opens these facts; without keys they are taken as they are. Raises StoreUnavailable."""
    return as_it_is if keys is None else await keys.opener(facts)


def as_it_is(fact: Fact) -> Fact:
    """Return the fact."""
    return fact


async def open_known(keys: FactKeys | None, known: Sequence[tuple[int, Fact]]) -> Sequence[tuple[int, Fact]]:
    """Return facts opened, each with its instant, without those that are absent or do not open. Raises StoreUnavailable."""
    if keys is None or not known:
        return known
    opens = await keys.opener([fact for _, fact in known])
    return [(at, one) for at, fact in known if (one := open_if_it_opens(opens, fact)) is not None]


def leniently(opens: OpenFact) -> OpenFact:
    """Return what takes a fact that does not open for absent: it was set aside when it came."""
    return as_it_is if opens is as_it_is else lambda fact: open_if_it_opens(opens, fact)


def open_all(opens: OpenFact, facts: Sequence[Fact]) -> Sequence[Fact]:
    """Return the facts as they were before they were sealed, without those that are absent or do not open."""
    if opens is as_it_is:
        return facts
    return [opened for one in facts if (opened := open_if_it_opens(opens, one)) is not None]


def open_if_it_opens(opens: OpenFact, fact: Fact) -> Fact | None:
    """Return a fact opened; None where it is absent, or where it does not open, so that it was set aside when it came."""
    try:
        return opens(fact)
    except Tampered:
        return None
