"""A world for sinks: a vendor in memory behind faults, a process that is killed at any step, and time that a test moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.dead_letters import read_dead_letter
from resegment.agents.delivery import Job, read_command
from resegment.agents.keyed_queue import KeyedQueue
from resegment.agents.sending.memory import MemoryCallLog
from resegment.agents.sending.runner import Clock, SignIn, SinkRunner, SinkSettings
from resegment.agents.sending.sender import SinkSender
from resegment.agents.sending.work import CommandWork, ContactRules, Done, Performer
from resegment.schemas.logs.call_log import LoggedCall
from resegment.sinks.configuration import SinkEntry
from resegment.sinks.loading import LoadedSink
from resegment.sinks.operation import Contact, Owner
from resegment.sinks.port import Answer, Request
from resegment.sinks.registry import VENDORS
from tests.vendors.samples import SAMPLES
from tests.vendors.server import VendorServer

START = 1_770_000_000.0
AT = "2026-02-01T00:00:00Z"


class Killed(BaseException):
    """The process is killed: nothing of it runs on."""


@dataclass
class Time:
    """A clock that moves when somebody sleeps."""

    now: float = START

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)


@dataclass
class Faults:
    """What happens to requests and to the process, by chance."""

    chance: random.Random
    share: float = 0.0
    kills: float = 0.0

    def maybe_kill(self) -> None:
        if self.chance.random() < self.kills:
            raise Killed


@dataclass
class Network:
    """The way to the vendor: faults before and after the work."""

    server: VendorServer
    faults: Faults

    async def send(self, request: Request) -> Answer:
        await asyncio.sleep(0)
        chance, faults = self.faults.chance, self.faults
        faults.maybe_kill()
        if chance.random() < faults.share:
            what = chance.choice(["429", "500", "503", "reset", "unsent", "lost", "500-after", "slow"])
            if what == "unsent":
                return Answer(0, "no connection", unsent=True)
            if what == "reset":
                return Answer(0, "reset")
            if what in {"429", "500", "503"}:
                return Answer(int(what), {"message": what}, {"retry-after": "1"} if what != "500" else {})
            answer = self.server.answer(request)
            if what == "slow":
                for _ in range(chance.randrange(20)):
                    await asyncio.sleep(0)
                return answer
            return Answer(0, "no answer in time") if what == "lost" else Answer(500, {"message": "oops"})
        answer = self.server.answer(request)
        await asyncio.sleep(0)
        faults.maybe_kill()
        return answer


class MortalLog(MemoryCallLog):
    """A call log whose process may be killed before and after each write."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    async def write(
        self, account: str, key: str, step: str, before: LoggedCall | None, after: LoggedCall | None
    ) -> bool:
        self._faults.maybe_kill()
        done = await super().write(account, key, step, before, after)
        await asyncio.sleep(0)
        self._faults.maybe_kill()
        return done


class NoLimits:
    async def take(self, _: Request) -> float:
        return 0.0


@dataclass
class Table:
    """Contacts by account."""

    contacts: Mapping[str, Sequence[Contact]]

    async def find(self, account: str) -> Sequence[Contact]:
        return self.contacts.get(account, ())


@dataclass
class World:
    """One sink of a vendor, which outlives its processes."""

    vendor: str
    server: VendorServer
    contacts: Mapping[str, Sequence[Contact]]
    faults: Faults
    entry: Mapping[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    time: Time = field(default_factory=Time)
    letters: list[Mapping[str, Any]] = field(default_factory=list)
    settled: list[tuple[str, str]] = field(default_factory=list)
    """Account and id of each command, in the order in which they were settled; again where it was repeated."""
    outcomes: dict[str, str] = field(default_factory=dict)
    log: MortalLog = field(init=False)
    processes: int = 0

    def __post_init__(self) -> None:
        self.log = MortalLog(self.faults)
        self.secrets = self.secrets or dict(SAMPLES[self.vendor].secrets)

    def loaded(self) -> LoadedSink:
        vendor, sample = VENDORS[self.vendor], SAMPLES[self.vendor]
        entry = SinkEntry.model_validate(
            {
                "vendor": self.vendor,
                "credentials": {},
                "first_wait": "10ms",
                "longest_wait": "1s",
                "pause": "1s",
                "workflows": {"w": {}},
                **self.entry,
            }
        )
        owners = {"ada": Owner("ada", "owner@example.com", sample.owner_ids)}
        target = vendor.target.model_validate(sample.target)
        return LoadedSink(self.vendor, vendor, entry, sample.sink(), "x", {"w": target}, owners, Path())

    def sender(self) -> SinkSender:
        loaded = self.loaded()
        self.processes += 1
        runner = SinkRunner(
            SinkSettings(self.vendor, 5.0, 2.0, loaded.entry.dry_run),
            loaded.sink,
            SignIn(loaded.sink, lambda: dict(self.secrets)),
            transport=Network(self.server, self.faults),
            calls=self.log,
            limiter=NoLimits(),
            process=f"p{self.processes}",
            clock=self.time.clock,
        )
        performer = Performer(loaded, runner)
        work = CommandWork(performer, ContactRules(Table(self.contacts), {}, 3, str.lower), None)
        return SinkSender(
            performer,
            work,
            publisher=self,
            dead_letters="dead-letters",
            report=self._report,
            clock=self.time.clock,
            chance=self.faults.chance.random,
        )

    def _report(self, job: Job, outcome: str, done: Done | None) -> None:
        if outcome not in {"retried", "signed-out"} and (done is None or not done.repeated):
            self.outcomes[job.command.id] = outcome

    async def publish(self, messages: Sequence[Message]) -> None:
        self.letters += [read_dead_letter(one.headers, one.key, one.value) for one in messages]

    async def run(self, records: Sequence[RecordedMessage], *, passes: int = 400) -> SinkSender:
        """Carry out all commands, in as many processes as it takes."""
        left = list(records)
        for _ in range(passes):
            sender, done = self.sender(), set[int]()
            killed = await self._process(sender, left, done)
            if not killed:
                return sender
            # what was settled is committed, but for the last records: they come again
            keep = self.faults.chance.randrange(3)
            over = sorted(done)[: max(0, len(done) - keep)]
            left = [one for one in left if one.offset not in over]
        raise AssertionError("it does not come to an end")

    async def _process(self, sender: SinkSender, records: Sequence[RecordedMessage], done: set[int]) -> bool:
        finished = asyncio.Event()

        def settled(job: Job) -> None:
            done.add(job.record.offset)
            self.settled.append((job.command.account, job.command.id))
            if len(done) == len(records):
                finished.set()

        killed = asyncio.Event()

        async def attempt(job: Job) -> float | None:
            try:
                return await sender.attempt(job)
            except Killed:
                killed.set()
                await asyncio.Event().wait()  # nothing of the process runs on
                raise

        queue = KeyedQueue(attempt, settled, concurrency=8, sleep=self.time.sleep)
        batch = Batch("workflow-commands", 0, ())
        for record in records:
            command = read_command(record)
            if sender.wants(command):
                queue.put(Job(command, batch, record, self.time.now))
            else:
                done.add(record.offset)
        waits = [asyncio.create_task(finished.wait()), asyncio.create_task(killed.wait())]
        try:
            async with asyncio.timeout(60):
                if len(done) < len(records):
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await queue.close(0.0)
        if queue.failure is not None:
            raise queue.failure
        return not finished.is_set() and killed.is_set()


def command(
    number: int, account: str, action: str, *, sequence: int = 1, only: str | None = None, **more: Any
) -> RecordedMessage:
    key = more.pop("key", f"{account}-{number}")
    data = {
        "action": action,
        "account": account,
        "workflow": "w",
        "owner": "ada",
        "segment": "new-sales-leader",
        "play": "first-90-days",
        "idempotency_key": key,
        "cause": {"change": "c", "sequence_number": sequence, "effective_at": AT},
        **more,
    }
    event = {"type": "gtm.workflow-command.v1", "id": key, "subject": account, "data": data}
    headers = [] if only is None else [("endpoint", only.encode())]
    return RecordedMessage(number, int(START * 1000), account.encode(), orjson.dumps(event), headers)


def know(server: VendorServer, contact: Contact) -> None:
    """Let a vendor have a contact that its sink does not create."""
    if type(server).__name__ == "SalesforceServer":
        people: dict[str, dict[str, Any]] = server.contacts  # type: ignore[attr-defined]
        people[f"003{server.next_id():0>12}AAA"] = {"Email": contact.key, "LastName": "Example"}
