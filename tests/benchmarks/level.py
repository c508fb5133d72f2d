"""Whether what the stages of a worker hold stays level while accounts come and go, in one process without servers.

Sends events of new accounts, and a second one of each 500 accounts later, through intake, segmenter, relay and router, with a
small cache. The stores forget their oldest accounts, so that all that is left is what the stages hold. Run it as
`python -m tests.benchmarks.level`; it prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import typer

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.deciding.versions import one_version
from resegment.agents.intake import IntakeRules, ingest
from resegment.agents.partition import OwnedPartition
from resegment.agents.relay import relay
from resegment.agents.router import Router, pass_time, route, route_due
from resegment.agents.segmenter import decide_due, segment
from resegment.routing.enrollment import EnrollmentMachine
from resegment.routing.policy import OnePolicy, Policy, RoutingControls
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.state.account_cache import CacheBudget
from resegment.state.memory.owners import OwnerStore
from resegment.state.memory.partition import Memory, PartitionStore
from resegment.state.partition_store import Commit, Committed
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.benchmarks.deadlines import event
from tests.benchmarks.soak import MB, resident
from tests.builders import definition_of

KEPT: Final = 2_000
"""Accounts that a store keeps."""
BATCH: Final = 200
LATER: Final = 500
"""After how many other accounts an account has its second event."""
START: Final = 1_800_000_000_000
"""When the first event comes, ms."""

FILE: Final[Any] = {
    "version": 1,
    "plays": {
        "one": {
            "message": {"pain": "p", "value_prop": "v", "proof_points": ["p"]},
            "channels": {"primary": "email"},
        }
    },
    "segments": [
        {
            "name": "hiring",
            "when": {"event": "hiring", "where": {"function": "sales"}, "within": "30d"},
            "play": "one",
            "route": {"workflow": "hiring"},
        },
        {
            "name": "live",
            "when": {"event": "strategy", "within": "2m"},
            "play": "one",
            "route": {"workflow": "live"},
        },
    ],
    "fallback": {"name": "none", "play": "one", "route": {"workflow": "none"}},
}


class ForgetfulStore(PartitionStore):
    """Forgets the accounts that were written first."""

    async def commit(self, commit: Commit) -> Committed:
        """Write it, and forget what is too much."""
        committed = await super().commit(commit)
        memory = self.memory
        for part in (memory.accounts, memory.ledgers):
            for name in list(part)[: max(0, len(part) - KEPT)]:
                del part[name]
        for name in memory.deadlines.keys() - memory.accounts.keys():
            del memory.deadlines[name]
        memory.kept = self._count()
        return committed


class LatestMessages:
    """A publisher that keeps what was published since it was read last, by topic."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Message]] = {}

    async def publish(self, messages: Sequence[Message]) -> None:
        """Keep the messages."""
        for one in messages:
            self._messages.setdefault(one.topic, []).append(one)

    def take(self, topic: str) -> list[Message]:
        """Return those of a topic, and forget all."""
        taken = self._messages.pop(topic, [])
        self._messages.clear()
        return taken


class Stages:
    """Intake, and one partition of the segmenter and of the router, as a worker composes them."""

    def __init__(self, cache_bytes: int) -> None:
        definition = definition_of(FILE)
        self._topics, self._now = Topics("level"), START
        self._published, budget = LatestMessages(), CacheBudget(cache_bytes)
        self._versions = one_version(Engine(Program(definition)))
        self._factory = MessageFactory(definition, self._topics)
        self._rules = IntakeRules("wall", lambda: self._now)
        machine = EnrollmentMachine(OnePolicy(Policy(definition, RoutingControls(mode="all"))), live=True)
        self._router = Router(
            machine,
            OwnerStore(clock=lambda: self._now),
            self._published,
            self._topics.workflow_commands.name,
            "dead-letters",
            lambda: self._now,
        )
        self._segmented = OwnedPartition(
            0, ForgetfulStore(Memory(), 0), self._versions, budget=budget, has_more=lambda _: False
        )
        self._routed = OwnedPartition(0, ForgetfulStore(Memory(), 0), machine, budget=budget)
        self._offsets: dict[str, int] = {}
        self.accounts = self.commands = 0

    async def take(self) -> None:
        """Take both partitions."""
        await self._segmented.take("log")
        await self._routed.take("log")

    async def feed(self, accounts: int) -> None:
        """Send the events of so many more new accounts through all stages."""
        until = self.accounts + accounts
        while self.accounts < until:
            some = range(self.accounts, min(self.accounts + BATCH, until))
            self._now += 1_000 * len(some)
            events = [self._event("strategy", number, {"priority": "crm"}) for number in some]
            events += [
                self._event("hiring", number - LATER, {"function": "sales"})
                for number in some
                if number >= LATER
            ]
            await self._ingest(events)
            await self._segment()
            await self._route()
            self.accounts = some.stop

    def _event(self, kind: str, number: int, data: Any) -> Message:
        account = f"company-{number}.com"
        return Message(kind, account.encode(), event(kind, account, self._now, data))

    def _batch(self, topic: str, messages: Sequence[Message]) -> Batch:
        first = self._offsets.get(topic, 0)
        self._offsets[topic] = first + len(messages)
        records = [
            RecordedMessage(offset, self._now, one.key, one.value, one.headers)
            for offset, one in enumerate(messages, first)
        ]
        return Batch(topic, 0, records)

    async def _ingest(self, events: Sequence[Message]) -> None:
        done = await ingest(
            self._batch("triggers", events),
            self._rules,
            publisher=self._published,
            signals="signals",
            dead_letters="dead-letters",
        )
        if done.refused:
            raise SystemExit(f"an event was refused: {done.refused[0]}")

    async def _segment(self) -> None:
        await segment(
            self._batch("signals", self._published.take("signals")),
            self._segmented,
            self._versions,
            publisher=self._published,
            factory=self._factory,
            dead_letters="dead-letters",
        )
        while self._segmented.due:
            await decide_due(self._segmented, self._versions, factory=self._factory)
        while self._segmented.outbox.entries:
            await relay(self._segmented, publisher=self._published)

    async def _route(self) -> None:
        changes = self._published.take(self._topics.segment_changes.name)
        if changes:
            await route(self._batch("changes", changes), self._routed, self._router)
        await pass_time(self._routed, self._now)
        while self._routed.due:
            await route_due(self._routed, self._router)
        while self._routed.outbox.entries:
            await relay(self._routed, publisher=self._published)
        self.commands += len(self._published.take(self._topics.workflow_commands.name))


async def measure(options: argparse.Namespace) -> None:
    """Print a row again and again."""
    stages = Stages(options.cache * MB)
    await stages.take()
    while stages.accounts < options.accounts:
        begun = time.process_time()
        await stages.feed(options.every)
        seconds = time.process_time() - begun
        gc.collect()
        row = (
            f"{stages.accounts:,}",
            f"{stages.commands:,}",
            f"{sys.getallocatedblocks():,}",
            f"{resident(os.getpid()) / MB:.1f} MB",
            f"{seconds:.1f}",
        )
        typer.echo(f"| {' | '.join(row)} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=200_000)
    parser.add_argument("--every", type=int, default=25_000, help="accounts from one row to the next")
    parser.add_argument("--cache", type=int, default=20, help="the bound of the cache, MB")
    options = parser.parse_args()
    typer.echo("| accounts | commands | blocks of Python | memory | CPU s |\n| --- | --- | --- | --- | --- |")
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
