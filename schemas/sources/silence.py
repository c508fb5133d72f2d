"""The silence of sources, as the router hears of it in `routing-events`. The events concern no single account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec


class SourceSilent(msgspec.Struct, frozen=True, kw_only=True, tag="source-silent"):
    """A source is silent at an instant (ms): nothing has come since `since`. `kinds` are those that it sends."""

    source: str
    at: int
    since: int
    kinds: tuple[str, ...]


class SourceBack(msgspec.Struct, frozen=True, kw_only=True, tag="source-back"):
    """A source that was silent sends events again, at an instant (ms)."""

    source: str
    at: int


SourceEvent = SourceSilent | SourceBack


class Silence(msgspec.Struct, frozen=True):
    """What a partition knows of a silent source: since when nothing has come (ms), and what kinds it sends."""

    since: int
    kinds: tuple[str, ...]
    at: int = 0
    """When (ms) it was found silent."""


Silences = Mapping[str, Silence]
"""The silent sources."""


def hear(silences: Silences, event: SourceEvent) -> Silences:
    """Return the silent sources after an event. Heard twice, it has the effect of once; an older one has none."""
    known = silences.get(event.source)
    if isinstance(event, SourceSilent):
        if known is not None and known.at >= event.at:
            return silences
        return {**silences, event.source: Silence(event.since, event.kinds, event.at)}
    if known is None or known.at > event.at:
        return silences
    return {name: one for name, one in silences.items() if name != event.source}


def find_silent(silences: Silences, kinds: Iterable[str]) -> tuple[str, Silence] | None:
    """Return the source that sends one of some kinds and is silent for longest; None if none is silent."""
    wanted = frozenset(kinds)
    found = [(one.since, name) for name, one in silences.items() if not wanted.isdisjoint(one.kinds)]
    if not wanted or not found:
        return None
    _, name = min(found)
    return name, silences[name]
