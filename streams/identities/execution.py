"""Carry out a merge, an unmerge or a forget, step by step. One that was interrupted at any point can be carried out again.

Each step is a record in the `signals` of its account. The next one follows once the account's worker has read it, so
that every partition comes to the same result whenever it reads its log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from resegment.agents.batch import Message
from resegment.agents.deciding.merging import counts, step_message
from resegment.identity.merges import Operation
from resegment.schemas.fact import Fact
from resegment.schemas.identities.steps import Step, StepKind, pack_facts
from resegment.schemas.state import Identity, Membership

MOST_PACKED: Final = 600_000
"""Facts of more bytes than that, once they are packed, take several records."""

NO_IDENTITY: Final = Identity()
NOWHERE: Final = Membership()


class World(Protocol):
    """What the execution asks of a running prefix. All of it may raise a TransientError: then it is begun again."""

    signals: str

    def partition_of(self, account: str) -> int:
        """Return the partition of an account."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages, and return when they are acknowledged."""
        ...

    async def identity(self, account: str) -> Identity:
        """Return what merges do to the account now."""
        ...

    async def sequence(self, account: str) -> int:
        """Return the number of the latest change of an account."""
        ...

    async def until(self, account: str, reached: Callable[[Identity], bool]) -> None:
        """Return once the identity of the account is as wanted."""
        ...

    async def facts(self, account: str, upto: int) -> Sequence[Fact]:
        """Return the facts that came to the account in its log before an offset, those that were joined included."""
        ...

    async def handed_over(self, alias: str, account: str, at: int) -> None:
        """Return once the router has taken the alias out of its workflow, at `at` or later, and the account inherited."""
        ...

    async def shred(self, operation: Operation) -> None:
        """Destroy the keys of what is forgotten, so that nobody can open what they sealed. Without keys, do nothing."""
        ...

    async def allow(self, operation: Operation) -> None:
        """Let new keys be made for what was forgotten. Without keys, do nothing."""
        ...

    async def unprepared(self, account: str) -> None:
        """Return once the partition of the account has no facts folded in for another version."""
        ...

    async def unrouted(self, account: str, number: int, at: int) -> None:
        """Return once the router has done what the forget with this number asks for. Without a router, return at once."""
        ...

    async def clear(self, operation: Operation) -> None:
        """Delete what is kept of an account or person beside the states of both stages."""
        ...

    async def worked_off(self, account: str) -> None:
        """Return once the worker of the account has read all that its log has now."""
        ...


async def carry_out(world: World, operation: Operation) -> None:
    """Carry out an operation, and return when every account has what belongs to it, and no more."""
    match operation.kind:
        case "merge":
            await _merge(world, operation)
        case "unmerge":
            await _unmerge(world, operation)
        case "forget":
            await (_forget_persons if operation.persons else _forget)(world, operation)
        case "lift":
            await _lift(world, operation)


async def _forget(world: World, operation: Operation) -> None:
    number = operation.number
    await world.shred(operation)
    for account in operation.path:
        if (await world.identity(account)).forgets < number:
            await _send(world, operation, "forget", account, "")
    for account in operation.path:
        await world.until(account, lambda one: one.forgets >= number)
        await world.unrouted(account, number, operation.at)
    await world.clear(operation)


async def _lift(world: World, operation: Operation) -> None:
    number = operation.number
    await world.allow(operation)
    for account in () if operation.persons else operation.path:
        if (await world.identity(account)).forgets < number:
            changes = await world.sequence(account)
            await _send(world, operation, "lift", account, "", sequence=changes)
        await world.until(account, lambda one: one.forgets >= number)


async def _forget_persons(world: World, operation: Operation) -> None:
    number = operation.number
    await world.shred(operation)
    for account in operation.path:
        await world.unprepared(account)
        if (await world.identity(account)).forgets < number:
            await _send(world, operation, "hold", account, "")
        await world.until(account, lambda one: one.forgets >= number)
        held = await world.identity(account)
        if held.mode == "held" and held.op == number:
            known = await world.facts(account, held.offset)
            facts = [one for one in known if counts(one, held)]
            member, changes = held.held or Membership(), await world.sequence(account)
            await _send(world, operation, "renew", account, "", facts, member, changes)
            await world.until(account, lambda one: one.op != number or one.mode != "held")
        await world.unrouted(account, number, operation.at)
    await world.clear(operation)


async def _merge(world: World, operation: Operation) -> None:
    alias, account, number = operation.alias, operation.account, operation.number
    if (await world.identity(alias)).op < number:
        await _send(world, operation, "close", alias, account)
    await world.until(alias, lambda one: one.op >= number)
    await world.handed_over(alias, account, operation.at)
    closed = await world.identity(alias)
    known = await world.facts(alias, closed.offset)
    facts = [
        replace(one, account=account, via=(*one.via, (alias, number))) for one in known if counts(one, closed)
    ]
    await _send(world, operation, "join", account, alias, facts)
    await _send(world, operation, "open", alias, account)
    await world.until(alias, lambda one: one.op > number or one.mode == "open")
    await world.worked_off(account)


async def _unmerge(world: World, operation: Operation) -> None:
    alias, number = operation.alias, operation.number
    for account in operation.path:
        if (await world.identity(account)).parted.get(alias, 0) < number:
            await _send(world, operation, "part", account, alias)
    if (await world.identity(alias)).op < number:
        await _send(world, operation, "restore", alias, operation.account)
    for account in operation.path:
        await world.until(account, lambda one: one.parted.get(alias, 0) >= number)
    await world.until(alias, lambda one: one.op >= number)
    for account in (operation.path[0], alias):
        await _reset(world, operation, account)


async def _reset(world: World, operation: Operation, account: str) -> None:
    """Let an account decide again from the facts that are its own now."""
    parting = await world.identity(account)
    if parting.op != operation.number or parting.mode not in ("parting", "returning"):
        return  # that has been done
    known = await world.facts(account, parting.offset)
    facts = [one for one in known if counts(one, parting)]
    await _send(world, operation, "reset", account, operation.alias, facts)
    await world.until(account, lambda one: one.op != operation.number or not one.mode)


async def _send(
    world: World,
    operation: Operation,
    step: StepKind,
    account: str,
    other: str,
    facts: Sequence[Fact] = (),
    member: Membership = NOWHERE,
    sequence: int = 0,
) -> None:
    """Append a step to the log of its account; with many facts, in several records."""
    *first, last = _divide(facts)
    steps = [
        Step(step=step, op=operation.number, account=account, other=other, facts=one, more=True)
        for one in first
    ]
    steps.append(
        Step(
            step=step,
            op=operation.number,
            account=account,
            other=other,
            facts=last,
            segment=member.segment,
            entered=member.entered,
            left=member.left,
            sequence=sequence,
        )
    )
    partition = world.partition_of(account)
    await world.publish([step_message(world.signals, partition, one, operation.at) for one in steps])


def _divide(facts: Sequence[Fact]) -> list[str]:
    """Return facts in packs that each fit into a record."""
    packed = pack_facts(facts) if facts else ""
    if len(packed) <= MOST_PACKED or len(facts) == 1:
        return [packed]
    half = len(facts) // 2
    return [*_divide(facts[:half]), *_divide(facts[half:])]
