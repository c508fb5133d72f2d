"""Look at the sources of events: when something last came from each, and which are silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resegment.schemas.times import format_second
from resegment.state.sources.arrivals import KnownSources


@dataclass(frozen=True, slots=True)
class SourceLook:
    """One source of events: when (ms) the last event came, which kinds it sends, and since when it is silent, if it is."""

    name: str
    last: int
    kinds: Sequence[str]
    silent_since: int | None = None


def look_at_sources(known: KnownSources) -> list[SourceLook]:
    """Return the sources, the silent ones first."""
    looks = [
        SourceLook(
            name,
            one.last,
            sorted(one.kinds),
            known.silent[name].since if name in known.silent else None,
        )
        for name, one in known.arrivals.items()
    ]
    return sorted(looks, key=lambda one: (one.silent_since is None, one.name))


def tell_silent(looks: Iterable[SourceLook]) -> list[str]:
    """Say of each silent source what waits for it."""
    return [
        f"the source {one.name} is silent since {format_second(one.silent_since)}: enrollments that rest on the absence of "
        f"{' or '.join(one.kinds)} events wait until it is back"
        for one in looks
        if one.silent_since is not None
    ]


def tell_repeated(events: Mapping[str, int]) -> list[str]:
    """Say of each source how many events had the id of an earlier one and other data."""
    return [
        f"{source} sent {number:,} {'event' if number == 1 else 'events'} with the id of an earlier one and other data "
        "since the workers started, which changed nothing: give each revision an id of its own, and the same record"
        for source, number in sorted(events.items())
    ]


def describe_source(look: SourceLook) -> dict[str, Any]:
    """Return the same as plain JSON data."""
    return {
        "source": look.name,
        "last_event": format_second(look.last),
        "kinds": list(look.kinds),
        "silent_since": None if look.silent_since is None else format_second(look.silent_since),
    }
