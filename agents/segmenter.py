"""Fold batches of `signals` into the accounts' state, and decide their segments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from resegment.agents.batch import Batch, Message, Publisher, Record, is_readable, require_readable
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.deciding.applying import NOTHING, Known, apply_known
from resegment.agents.deciding.decided import Decided, MessageFactory, Owned
from resegment.agents.deciding.folding import changeover_of, join_folded, read_folded
from resegment.agents.deciding.marks import Crossing, is_mark
from resegment.agents.deciding.merging import is_step
from resegment.agents.deciding.opening import is_unknown, prepare
from resegment.agents.deciding.versions import Versions
from resegment.agents.isolation import find_failing
from resegment.agents.partition import position_after
from resegment.errors import RefusedEvent
from resegment.schemas.change import SegmentChange
from resegment.schemas.definitions.marks import encode_changeover
from resegment.schemas.fact import LATEST, Fact, decode_fact
from resegment.schemas.identities.steps import Step, decode_step
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.privacy.opening import OpenFact, as_it_is, open_if_it_opens
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision
from resegment.segmentation.language.limits import ACCOUNT_BYTES
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.partition_store import Position

TICK: Final = "tick"
"""The header of a record of `signals` that carries no fact, only time."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """What a batch led to, for metrics."""

    facts: int = 0
    ticks: int = 0
    changes: Sequence[SegmentChange] = ()
    refused: Sequence[RefusedEvent] = ()
    clock: int = 0
    waits_for: str | None = None
    """The apply on whose end the rest of the batch waits."""
    forwards: Sequence[Fact] = ()
    """Facts of accounts that were merged into others, as they are passed to those."""


Unread = tuple[int, Step | None, list[Record]]
"""When something becomes known of an account (ms): a step of a merge, or the facts of these records."""


@dataclass(slots=True)
class _Reading:
    """The records of a batch by account, in the order in which they become known, and what is refused.

    Facts are decoded when their account's turn comes, so that what is at work stays in the processor's cache.
    `last` is the last record that was read: where the partition has to wait, it is not the last of the batch.
    """

    clock: int
    crossing: Crossing
    drops: bool
    """Whether a version drops fields of facts."""
    last: Record | None = None
    known: dict[str, list[Unread]] = field(default_factory=dict)
    facts: int = 0
    ticks: int = 0
    refusals: list[tuple[int, RefusedEvent, Message]] = field(default_factory=list)
    """Each with the offset of its record."""

    def refuse(self, batch: Batch, record: Record, refused: RefusedEvent, topic: str) -> None:
        """Set a record aside."""
        offset = record.offset
        self.refusals.append((offset, refused.at(offset), to_dead_letter(topic, batch, record, refused)))

    def settle(self) -> tuple[list[RefusedEvent], list[Message]]:
        """Return the refusals and their dead letters in the order of the records."""
        self.refusals.sort(key=_offset)
        return [one for _, one, _ in self.refusals], [message for _, _, message in self.refusals]

    def position(self, position: Position) -> Position:
        """Return the position after what was read."""
        assert self.last is not None
        definition = encode_changeover(self.crossing.changeover)
        return replace(position_after(position, self.last, self.clock), definition=definition)


async def segment(
    batch: Batch,
    owned: Owned,
    versions: Versions,
    *,
    publisher: Publisher,
    factory: MessageFactory | None,
    dead_letters: str,
    fence: int | None = None,
    ahead: Collection[int] = (),
) -> Segmented:
    """Commit what a batch leads to, all or nothing: states, deadlines, changes, clock and position.

    At the instant of a switch of which it is not known yet whether it stands, the rest of the batch is left: call
    this again once that is known.

    `fence` is the one under which the batch was delivered: if the partition was taken again since, it is refused.
    `ahead` are the offsets of records whose timestamps are ahead of the time: they are refused, and move no clock.
    Without a `factory` nothing is announced, as in a replay. Raises `PartitionLost` where the partition has to be
    taken again, and `StoreUnavailable` or `PublishFailed` where the batch has to be retried.
    """
    async with owned.lock:
        records = owned.unseen(batch, fence)
        if not records:
            return Segmented(clock=owned.position.clock)
        reading = _read(batch, records, owned, versions, dead_letters, ahead)
        if reading.last is None:
            return Segmented(clock=reading.clock, waits_for=reading.crossing.blocked)
        timeline, clock = versions.timeline, reading.clock
        decided = Decided(factory, owned.number, reading.crossing.switched)
        with owned.all_or_nothing():
            accounts = await owned.accounts(reading.known)
            await join_folded(owned, timeline, accounts, reading.crossing.changeover, clock)
            writes = owned.collect()
            sealed: dict[str, list[Known]] | None = None
            opens: OpenFact = as_it_is
            if versions.keys is not None:
                sealed = {name: _decode(batch, name, reading, timeline, dead_letters) for name in accounts}
                opens = await prepare(versions.keys, sealed, accounts)
            for name, account in accounts.items():
                known = (
                    _decode(batch, name, reading, timeline, dead_letters) if sealed is None else sealed[name]
                )
                if not known:
                    owned.drop(name)  # a record may have named it that is about no account
                    continue
                try:
                    applied = apply_known(timeline, account, known, clock, opens)
                    later = _pass_time(timeline, account, clock) if account.deadline <= clock else ()
                    if later or applied is not NOTHING:
                        decided.add(applied, later)
                    if account.refused:
                        _refuse_too_large(batch, account, known, reading, dead_letters, opens)
                except Exception:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    account = await _apply_apart(  # noqa: PLW2901  # its state, read again
                        batch, owned, timeline, name, known, reading, decided, dead_letters, opens
                    )
                if opens is not as_it_is and is_unknown(account):
                    owned.drop(name)  # what is not written is not counted either
                else:
                    writes.add(account)
            refused, messages = reading.settle()
            if messages:
                await publisher.publish(messages)
            changes = await decided.commit(owned, reading.position(owned.position), writes)
        blocked = reading.crossing.blocked
        return Segmented(reading.facts, reading.ticks, changes, refused, clock, blocked, decided.forwards)


async def set_aside(
    batch: Batch,
    owned: Owned,
    versions: Versions,
    reason: str,
    message: str,
    *,
    publisher: Publisher,
    factory: MessageFactory | None,
    dead_letters: str,
    fence: int | None = None,
    ahead: Collection[int] = (),
) -> Segmented:
    """Commit a batch without deciding it: each of its facts becomes a dead letter. Raises as `segment` does."""
    async with owned.lock:
        records = owned.unseen(batch, fence)
        if not records:
            return Segmented(clock=owned.position.clock)
        reading = _read(batch, records, owned, versions, dead_letters, ahead)
        if reading.last is None:
            return Segmented(clock=reading.clock, waits_for=reading.crossing.blocked)
        decided = Decided(factory, owned.number, reading.crossing.switched)
        for name in reading.known:
            for _, _, facts in _decode(batch, name, reading, versions.timeline, dead_letters):
                for record in facts:
                    reading.refuse(batch, record, RefusedEvent(reason, message), dead_letters)
        refused, messages = reading.settle()
        with owned.all_or_nothing():
            await publisher.publish(messages)
            await decided.commit(owned, reading.position(owned.position), owned.collect())
        blocked = reading.crossing.blocked
        return Segmented(reading.facts, reading.ticks, (), refused, reading.clock, blocked)


async def decide_due(
    owned: Owned, versions: Versions, *, factory: MessageFactory | None
) -> Sequence[SegmentChange]:
    """Decide one slice of the accounts whose deadline the partition's clock has reached. Raises as `segment` does."""
    async with owned.lock:
        if not owned.due or owned.fence is None:
            return ()
        clock, timeline = owned.position.clock, versions.timeline
        decided = Decided(factory, owned.number)
        with owned.all_or_nothing():
            found = await owned.accounts(owned.due)
            writes = owned.collect()
            await join_folded(owned, timeline, found, changeover_of(owned.position), clock)
            for name in owned.due:
                account = found[name]
                try:
                    decided.add(NOTHING, timeline.advance(account, clock, clock))
                except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    account = await owned.suspend(name, error)
                writes.add(account)
            return await decided.commit(owned, owned.position, writes)


def is_tick(record: Record) -> bool:
    """Return whether a record without a value is a tick."""
    return is_readable(record) and any(name == TICK for name, _ in record.headers)


def _read(
    batch: Batch,
    records: Sequence[Record],
    owned: Owned,
    versions: Versions,
    dead_letters: str,
    ahead: Collection[int],
) -> _Reading:
    clock = owned.position.clock
    crossing = Crossing(versions, changeover_of(owned.position))
    reading = _Reading(clock, crossing, any(one.definition.dropped for one in versions.timeline.eras))
    known = reading.known
    for record in records:
        if ahead and record.offset in ahead:
            reading.refuse(batch, record, _ahead(record), dead_letters)
            reading.last = record
            continue
        timestamp, key = record.timestamp, record.key
        reached = timestamp if timestamp > clock else clock  # noqa: FURB136  # asked of every record
        if not crossing.reach(reached) or (
            key is None and is_mark(record) and not crossing.read(record, reached)
        ):
            break
        clock, reading.last = reached, record
        if key is None and (is_tick(record) or is_mark(record)):
            reading.ticks += 1
            continue
        step: Step | None = None
        try:
            require_readable(record)
            if key is not None:
                name = key.decode("utf-8", "replace")
            elif is_step(record):
                step = decode_step(record.value or b"")
                name = step.account
            else:
                raise RefusedEvent("not-a-signal", "it has no key, which would say its account")  # noqa: TRY301
        except msgspec.DecodeError as error:
            reading.refuse(batch, record, RefusedEvent("not-a-signal", str(error)), dead_letters)
            continue
        except RefusedEvent as refused:
            reading.refuse(batch, record, refused, dead_letters)
            continue
        groups = known.get(name)
        if groups is None:
            known[name] = [(clock, step, [record])]
        elif step is None and (latest := groups[-1])[0] == clock and latest[1] is None:
            latest[2].append(record)
        else:
            groups.append((clock, step, [record]))
    reading.clock = clock
    return reading


def _decode(batch: Batch, name: str, reading: _Reading, timeline: Timeline, dead_letters: str) -> list[Known]:
    """Return what becomes known of an account, and set aside the records that are not about it."""
    found: list[Known] = []
    for clock, step, records in reading.known[name]:
        if step is not None:
            found.append((clock, step, records))
            continue
        facts: list[Fact] = []
        kept: list[Record] = []
        for record in records:
            try:
                fact = decode_fact(record.value or b"")
            except msgspec.DecodeError as error:
                reading.refuse(batch, record, RefusedEvent("not-a-signal", str(error)), dead_letters)
                continue
            if fact.account != name:
                problem = f"its key is {name[:100]!r}, its account is another one"
                reading.refuse(batch, record, RefusedEvent("not-a-signal", problem), dead_letters)
                continue
            # intake has left the fields out, unless its worker learned of the version too late
            facts.append(timeline.receive(fact) if reading.drops else fact)
            kept.append(record)
        reading.facts += len(facts)
        if facts:
            found.append((clock, facts, kept))
    return found


def _offset(refusal: tuple[int, RefusedEvent, Message]) -> int:
    return refusal[0]


def _ahead(record: Record) -> RefusedEvent:
    shown = format_instant(record.timestamp) if record.timestamp < LATEST else str(record.timestamp)
    return RefusedEvent(
        "clock-ahead",
        f"the record's timestamp {shown} is ahead of the time: it would have ended every window of its partition. "
        "Correct the clock of the host that wrote it, and send the event again",
    )


def _refuse_too_large(
    batch: Batch,
    account: Account,
    known: Sequence[Known],
    reading: _Reading,
    dead_letters: str,
    opens: OpenFact,
) -> None:
    """Set the facts aside that the account had no room for."""
    refused, account.refused = account.refused, None
    for _, facts, records in known if refused else ():
        for sealed, record in () if isinstance(facts, Step) else zip(facts, records, strict=True):
            fact = open_if_it_opens(opens, sealed)
            if fact is not None and refused and (fact.source, fact.id) in refused:
                reading.refuse(
                    batch,
                    record,
                    RefusedEvent(
                        "account-too-large",
                        f"the facts of {account.name} would take more than {ACCOUNT_BYTES:,} bytes. The account "
                        "stays as it was. Do several companies share this subject, or does a test keep a long text?",
                    ),
                    dead_letters,
                )


def _pass_time(timeline: Timeline, account: Account, clock: int) -> list[Decision]:
    """Decide the deadlines up to the clock."""
    return timeline.advance(account, clock, clock) if account.deadline <= clock else []


async def _apply_apart(
    batch: Batch,
    owned: Owned,
    timeline: Timeline,
    name: str,
    known: Sequence[Known],
    reading: _Reading,
    decided: Decided,
    dead_letters: str,
    opens: OpenFact,
) -> Account:
    """Apply an account's facts from its stored state, one by one in order, and set aside those that fail."""
    owned.drop(name)
    (folded,) = await read_folded(owned, timeline, [name], reading.crossing.changeover, reading.clock)
    units: list[Known] = []
    for at, facts, records in known:
        if isinstance(facts, Step):
            units.append((at, facts, records))
        else:
            units += [(at, [fact], [record]) for fact, record in zip(facts, records, strict=True)]

    def attempt(checkpoint: bytes | None, run: Sequence[Known]) -> bytes:
        account = timeline.load(name, checkpoint)
        if folded is not None:
            timeline.join_folded(account, decode_state(folded))
        applied = apply_known(timeline, account, run, reading.clock, opens)
        after = timeline.encode(account)
        decided.announced([*applied.decisions, *_pass_time(timeline, account, reading.clock)])
        return after

    failing = dict(await find_failing(units, await owned.stored(name), attempt))
    for place, cause in failing.items():
        refused = (
            cause
            if isinstance(cause, RefusedEvent)
            else RefusedEvent("decision-failed", f"{type(cause).__name__}: {cause}")
        )
        reading.refuse(batch, units[place][2][0], refused, dead_letters)
    good = [unit for place, unit in enumerate(units) if place not in failing]
    account = (await owned.accounts([name]))[name]
    if folded is not None:
        timeline.join_folded(account, decode_state(folded))
    if good:
        applied = apply_known(timeline, account, good, reading.clock, opens)
        decided.add(applied, _pass_time(timeline, account, reading.clock))
        _refuse_too_large(batch, account, good, reading, dead_letters, opens)
    return account
