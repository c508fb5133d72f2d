"""Which dead letters a page is about: by reason, source, topic, endpoint, time and text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

import orjson

from resegment.http.console.times import read_instant
from resegment.http.intake.quarantine import PLACE
from resegment.streams.operations.dead_letters import DeadLetter

OWN: Final = "/resegment/"
"""Begins the sources of what the project itself writes: no provider has it."""
NO_SOURCE: Final = "(not known)"
"""The source in an address and a list of those whose source cannot be read."""


def source_of(letter: DeadLetter) -> str | None:
    """Return the source of a refused event: as its body or header says, or the path that a request came to."""
    topic = str(letter.about.get("topic", ""))
    for name, value in letter.record.headers:
        if name == "ce_source" and value:
            return value.decode("utf-8", "replace")[:500]
    try:
        found = orjson.loads(letter.original or b"")
    except orjson.JSONDecodeError:
        found = None
    source = found.get("source") if isinstance(found, dict) else None
    if isinstance(source, str) and source:
        return source[:500]
    return topic if topic.startswith(PLACE) else None


class SourcedLetter(NamedTuple):
    """A dead letter, and the source of its event; `NO_SOURCE` if that cannot be read."""

    letter: DeadLetter
    source: str

    def field(self, name: str) -> str:
        """Return what is known of it, as a text."""
        return self.source if name == "source" else str(self.letter.about.get(name) or "")


def find_sources(letters: Iterable[DeadLetter]) -> list[SourcedLetter]:
    """Return letters with their sources."""
    return [SourcedLetter(one, source_of(one) or NO_SOURCE) for one in letters]


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are wanted, as the address says. Empty texts ask for nothing; `again` is `too` or empty.

    `since` and `until` are as they were written, for the time zone of the page.
    """

    reason: str = ""
    source: str = ""
    topic: str = ""
    endpoint: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    again: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> LetterFilter:
        """Return the filter of an address or a form."""
        names = ("reason", "source", "topic", "endpoint", "text", "since", "until")
        found = {name: given.get(name, "")[:500] for name in names}
        return cls(**found, again="too" if given.get("sent-again") == "too" else "")

    def query(self) -> dict[str, str]:
        """Return what an address says of it."""
        given = {name: value for name, value in asdict(self).items() if value and name != "again"}
        return given | ({"sent-again": self.again} if self.again else {})

    def choose(self, letters: Iterable[SourcedLetter], zone: str) -> list[SourcedLetter]:
        """Return the letters that are wanted. Raises NoInstant."""
        return [one for one in self._admit(letters, zone) if self._is_exact(one)]

    def count_choices(self, letters: Iterable[SourcedLetter], zone: str) -> dict[str, dict[str, int]]:
        """Return for each field how many letters each of its values would show, all else as wanted. Raises NoInstant."""
        admitted = self._admit(letters, zone)
        return {
            name: count_by((one for one in admitted if self._is_exact(one, but=name)), name)
            for name in _EXACT
        }

    def _is_exact(self, one: SourcedLetter, *, but: str = "") -> bool:
        return all(
            one.field(name) == wanted for name in _EXACT if name != but and (wanted := getattr(self, name))
        )

    def _admit(self, letters: Iterable[SourcedLetter], zone: str) -> list[SourcedLetter]:
        since, until = read_instant(self.since, zone), read_instant(self.until, zone)
        text = self.text.casefold()
        return [
            one
            for one in letters
            if (self.again or one.letter.retried is None)
            and (since is None or one.letter.refused_at >= since)
            and (until is None or one.letter.refused_at < until)
            and (not text or _has(one, text))
        ]


_EXACT: Final = ("reason", "source", "topic", "endpoint")


def _has(one: SourcedLetter, text: str) -> bool:
    about = one.letter.about
    parts = (one.letter.id, *(about.get(name) for name in ("message", "field", "key", "value")), one.source)
    return any(text in str(part).casefold() for part in parts if part)


class Refusals(NamedTuple):
    """How many letters have a reason and a source, and when (ms) the last was refused."""

    reason: str
    source: str
    letters: int
    last: int


def count_refusals(letters: Sequence[SourcedLetter]) -> list[Refusals]:
    """Return how many letters there are of each reason and source, the most first."""
    counts: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], int] = {}
    for one in letters:
        key = one.field("reason"), one.source
        counts[key] += 1
        last[key] = max(last.get(key, 0), one.letter.refused_at)
    return [Refusals(*key, number, last[key]) for key, number in counts.most_common()]


def count_by(letters: Iterable[SourcedLetter], name: str) -> dict[str, int]:
    """Return how many letters have each value of a field, the most first."""
    counts: Counter[str] = Counter(value for one in letters if (value := one.field(name)))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
