"""How much a process grows by accounts in memory, beside the bound that they keep by their own count: a few accounts with
thousands of facts among many small ones, of the core alone. Their states are in a file. Run it as a script; it fails if
the process grows by more than 1.3 times the bound and 50 MB.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import typer

from resegment.benchmarks.events import BEGIN
from resegment.benchmarks.growth import VIEWS
from resegment.benchmarks.participant import resident_bytes
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.schemas.logs.log_framing import join_logs
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition
from resegment.state.account_cache import AccountCache, CacheBudget
from resegment.streams.runtime import settle

FACTS: Final = 2_000
SMALL: Final = 100_000
BATCH: Final = 1_000
MB: Final = 1_000_000


class States:
    """What is stored of accounts, in a file."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path)
        self._file.executescript(
            "pragma synchronous = off; pragma journal_mode = off; create table states (name text primary key, log blob)"
        )

    def read(self, name: str) -> bytes | None:
        """Return the state of an account."""
        row = self._file.execute("select log from states where name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def write(self, states: Mapping[str, bytes]) -> None:
        """Keep states."""
        self._file.executemany("insert or replace into states values (?, ?)", states.items())
        self._file.commit()


class Run:
    """A cache that is fed with batches of page views."""

    def __init__(self, states: States, bound: int) -> None:
        self.states, self.budget = states, CacheBudget(bound)
        self.cache: AccountCache[Account] = AccountCache(self.budget)
        self.engine = Engine(Program(load_definition(VIEWS)))

    def feed(self, facts: Sequence[Fact]) -> None:
        """Apply a batch, as a partition does."""
        by_account: dict[str, list[Fact]] = {}
        for fact in facts:
            by_account.setdefault(fact.account, []).append(fact)
        found, missing = self.cache.find(by_account)
        for name in missing:
            found[name] = self.engine.load(name, self.states.read(name))
            self.cache.put(found[name])
        written: dict[str, bytes] = {}
        for name, given in by_account.items():
            self.engine.apply_facts(found[name], given, given[-1].recorded)
            if (write := found[name].write()) is not None:
                before = self.states.read(name) if write.appends else None
                written[name] = write.data if before is None else join_logs([before, write.data])
        self.states.write(written)
        for account in found.values():
            self.cache.count(account)
        self.cache.settle()


def make_view(pick: random.Random, account: int, number: int, at: int) -> Fact:
    """One page view, as it is read from a topic: it shares nothing with others."""
    name = f"acct-{account:06d}.example"
    data = {
        "action": "page_view",
        "url": f"https://www.example.org/pages/{pick.getrandbits(48):012x}",
        "person": f"person-{pick.randrange(50)}@{name}",
    }
    name_of_event = f"ev-{number:08d}-{pick.getrandbits(32):08x}"
    fact = Fact(
        kind="engagement",
        account=name,
        time=at,
        recorded=at,
        source="/signals/web",
        id=name_of_event,
        record=name_of_event,
        data=data,
    )
    return decode_fact(encode_fact(fact))


def main() -> None:
    """Print what the process has grown by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bound", type=int, default=60, help="MB")
    parser.add_argument("--large", type=int, default=50, help=f"accounts with {FACTS:,} facts")
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    pick = random.Random(1)  # the same events each time are what is wanted
    with tempfile.TemporaryDirectory() as folder:
        run = Run(States(Path(folder) / "states"), options.bound * MB)
        settle()
        base, began, number, most = resident_bytes(), time.monotonic(), 0, 0
        filling = options.large * FACTS
        while number < filling or time.monotonic() - began < options.seconds:
            batch: list[Fact] = []
            for _ in range(BATCH):
                number += 1
                if number <= filling:
                    account = number % options.large
                else:
                    account = pick.randrange(options.large if pick.random() < 0.1 else SMALL)
                batch.append(make_view(pick, account, number, BEGIN + number * 1_000))
            run.feed(batch)
            most = max(most, resident_bytes() - base)
        typer.echo(f"{number:,} events, {len(run.cache):,} accounts in memory")
        typer.echo(
            f"bound {options.bound} MB, counted {run.budget.used / MB:.0f} MB, grown by {most / MB:.0f} MB"
        )
        if most > 1.3 * options.bound * MB + 50 * MB:
            raise SystemExit("it has grown by more than 1.3 times the bound and 50 MB")


if __name__ == "__main__":
    main()
