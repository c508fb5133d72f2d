"""The segments language by definition: the judge of the real engine, which it shares no code with.

It keeps every fact, and at each instant at which anything could change it works everything out again from nothing.
Instants and durations are whole milliseconds. A value of None is missing; a truth of None is unknown.

Each construct is a small function of its own, called through its module, so that a test can put a fault in its place.
"""

from .facts import Change, Fact, File, Moment, Past, known, read_facts
from .timeline import candidates, history, membership, moment_of

__all__ = [
    "Change",
    "Fact",
    "File",
    "Moment",
    "Past",
    "candidates",
    "history",
    "known",
    "membership",
    "moment_of",
    "read_facts",
]
