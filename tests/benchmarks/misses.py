"""What an account costs that is not in the worker's cache, beside one that is: CPU time of the core alone, of the
benchmark's own events and segments. Run it as a script; it prints a Markdown table.

Garbage is collected between the steps, so that it counts for itself.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from statistics import median
from typing import Final

import msgspec
import typer

from resegment.benchmarks.events import make_events
from resegment.benchmarks.run import SEGMENTS
from resegment.identity.resolution import resolve_event
from resegment.schemas.change import SegmentChange
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine, changes_in
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from resegment.streams.runtime import settle

CHUNK: Final = 1_000
"""How many accounts are done together, as the facts of a batch are."""
CACHED: Final = 20_000
"""How many accounts are kept in memory meanwhile."""

NEW: Final = "its snapshot, a new account: learn, write"
MISSED: Final = "a trigger, the account not cached: load, learn, write"
CACHED_ONE: Final = "a trigger, the account cached: learn, write"
DUE: Final = "its deadline, the account not cached: load, advance, write"
ANNOUNCED: Final = "a change: its event"
COLLECTED: Final = "garbage collection, for all steps of an account"


class Stopwatch:
    """CPU ns by what it was spent on, and how often that was done."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, int] = defaultdict(int)
        self.times: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def on(self, what: str, times: int) -> Iterator[None]:
        began = time.process_time_ns()
        yield
        self.spent[what] += time.process_time_ns() - began
        self.times[what] += times


def make_pairs(count: int) -> list[tuple[Fact, Fact]]:
    """Of each account its snapshot and one trigger."""
    facts = [resolve_event(decode_event(event.value)) for event in make_events(count, count)]
    return [
        (snapshot, msgspec.structs.replace(trigger, account=snapshot.account))
        for snapshot, trigger in zip(facts[:count], facts[count:], strict=True)
    ]


class Run:
    """One go over all accounts, with a cache that forgets."""

    def __init__(self, engine: Engine, factory: MessageFactory) -> None:
        self.engine, self.factory = engine, factory
        self.watch = Stopwatch()
        self.changes: list[SegmentChange] = []
        self._cache: OrderedDict[str, Account] = OrderedDict()

    def do(self, pairs: Sequence[tuple[Fact, Fact]]) -> None:
        """Some accounts, from first sight to their deadline."""
        engine, watch = self.engine, self.watch
        with watch.on(NEW, len(pairs)):
            learned = [self._learn(snapshot, None) for snapshot, _ in pairs]
        kept = [engine.encode(one) for one in learned]
        warm = [engine.load(one.account, value) for (one, _), value in zip(pairs, kept, strict=True)]
        for account, (_, trigger) in zip(warm, pairs, strict=True):
            engine.evaluate(account, trigger.recorded - 1)
            account.write()
        with watch.on(CACHED_ONE, len(pairs)):
            for account, (_, trigger) in zip(warm, pairs, strict=True):
                engine.apply_facts(account, [trigger], trigger.recorded)
                account.write()
        self.changes.clear()
        with watch.on(MISSED, len(pairs)):
            learned = [self._learn(trigger, value) for (_, trigger), value in zip(pairs, kept, strict=True)]
        kept = [engine.encode(one) for one in learned]
        due = [
            (account.name, value, account.deadline)
            for account, value in zip(islice(self._newest(), len(pairs)), reversed(kept), strict=True)
            if account.deadline != NEVER
        ]
        with watch.on(DUE, len(due)):
            for name, value, at in due:
                self._advance(name, value, at)
        with watch.on(ANNOUNCED, len(self.changes)):
            for change in self.changes:
                self.factory.change(change)
        with watch.on(COLLECTED, len(pairs)):
            gc.collect(0)

    def _learn(self, fact: Fact, value: bytes | None) -> Account:
        engine = self.engine
        account = self._admit(fact.account, value)
        if (change := engine.apply_facts(account, [fact], fact.recorded).change) is not None:
            self.changes.append(change)
        account.write()
        return account

    def _advance(self, name: str, value: bytes, at: int) -> None:
        account = self._admit(name, value)
        self.changes += changes_in(self.engine.advance(account, at))
        account.write()

    def _admit(self, name: str, value: bytes | None) -> Account:
        self._cache.pop(name, None)
        account = self._cache[name] = self.engine.load(name, value)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return account

    def _newest(self) -> Iterator[Account]:
        return (self._cache[name] for name in reversed(self._cache))


def measure(pairs: Sequence[tuple[Fact, Fact]], make: Callable[[], Run]) -> dict[str, float]:
    """CPU µs of each."""
    run = make()
    for first in range(0, len(pairs), CHUNK):
        run.do(pairs[first : first + CHUNK])
    return {what: spent / run.watch.times[what] / 1_000 for what, spent in run.watch.spent.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7, help="each figure is the median of so many")
    options = parser.parse_args()
    definition = load_definition(SEGMENTS)
    engine, factory = Engine(Program(definition)), MessageFactory(definition, Topics("bench"))
    pairs = make_pairs(options.accounts)
    settle()
    gc.disable()
    rounds = [measure(pairs, lambda: Run(engine, factory)) for _ in range(options.rounds)]
    typer.echo("| what | CPU µs |\n| --- | --- |")
    for what in (NEW, MISSED, CACHED_ONE, DUE, ANNOUNCED, COLLECTED):
        typer.echo(f"| {what} | {median(one[what] for one in rounds):.1f} |")


if __name__ == "__main__":
    main()
