"""Switch a prefix to another version, all partitions at one instant. An apply that was interrupted can be run again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from resegment.agents.batch import Message
from resegment.agents.deciding.marks import mark_message
from resegment.agents.segmenter import TICK
from resegment.schemas.definitions.marks import Mark
from resegment.schemas.definitions.records import (
    Applied as AppliedRecord,
)
from resegment.schemas.definitions.records import (
    Apply,
    DefinitionRecord,
    Discarded,
    Prepare,
    Stands,
    Void,
)
from resegment.schemas.times import format_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.versions.differences import compare
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.applying.lock import applying
from resegment.streams.definitions.applying.requests import (
    Applied,
    ApplyConnection,
    ApplyRefused,
    ApplyRequest,
    ApplyUnderWay,
    ApplyVoided,
    BaseMoved,
    InstantPassed,
    NoWorkers,
    Report,
    ShadowRuns,
    report_nothing,
)
from resegment.streams.definitions.applying.world import World, describe_open
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.follower import following_registry
from resegment.streams.definitions.history import ApplyHistory, Definitions
from resegment.streams.definitions.log import DefinitionWriter, read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.heartbeat import read_workers
from resegment.streams.prefix import note_definition

LOOKED_AT: Final = 0.05
"""Seconds between two looks at the partitions."""
AHEAD: Final = 2_000
"""How far (ms) the instant of a switch that is wanted at once is ahead, so that its marks arrive before it."""
SOON: Final = 10_000
"""How far (ms) an instant may be ahead for a command to wait for it."""
SETTLED_WITHIN: Final = 7.0
"""Seconds after the instant within which the applier settles the switch; partitions wait somewhat longer."""
TRIES: Final = 4
"""How often an instant is chosen, each further ahead, where partitions lag behind."""


async def apply_version(
    connection: ApplyConnection, request: ApplyRequest, progress: Report = report_nothing
) -> Applied:
    """Switch the prefix to the request's definition, and return once every partition has worked it off.

    Raises BaseMoved, ApplyUnderWay, ApplyRefused, ApplyVoided, InstantPassed, NoWorkers, ShadowRuns, PublishFailed,
    StoreUnavailable, TopicUnreadable, and what the request's `check` raises.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(applying(connection.client, connection.prefix))
        except ApplyUnderWay:
            raise await describe_open(connection) from None
        registry = await stack.enter_async_context(following_registry(connection))
        work = _Work(connection, registry, progress)
        await work.finish_open(request)
        if request.kind == "shadow":
            return await work.shadow(request)
        return await work.switch(request)


async def discard_shadow(connection: ApplyConnection) -> int | None:
    """End the shadow, and return the number of its version; None where there is none."""
    async with applying(connection.client, connection.prefix):
        definitions = await read_definitions(connection.bootstrap, connection.topics, connection.security)
        shadow = definitions.shadow
        if shadow is None:
            return None
        reader = PrefixReader(connection.client, connection.prefix, connection.partitions)
        record = Discarded(apply=shadow.id, at=await reader.now())
        await DefinitionWriter(connection.publisher, connection.topics).write(record)
        return shadow.version


class _Work:
    """One run of the applier."""

    def __init__(self, connection: ApplyConnection, registry: DefinitionRegistry, progress: Report) -> None:
        self._connection, self._registry, self._progress = connection, registry, progress
        self._writer = DefinitionWriter(connection.publisher, connection.topics)
        self._reader = PrefixReader(connection.client, connection.prefix, connection.partitions)

    @property
    def _definitions(self) -> Definitions:
        return self._registry.definitions

    @property
    def _all(self) -> range:
        return range(self._connection.partitions)

    async def _look(self) -> World:
        return World(await self._reader.look())

    async def _write(self, *records: DefinitionRecord) -> None:
        """Append records, and wait until they have been read again, with all that came before."""
        before = self._definitions.taken
        await self._writer.write(*records)
        await self._registry.wait_for(lambda: self._definitions.taken >= before + len(records), 20.0)

    async def _mark(self, mark: Mark, partitions: Sequence[int]) -> None:
        # on the clock of the facts, a mark must move no clock
        at = await self._reader.now() if self._connection.clock == "wall" else 0
        topic = self._connection.topics.signals.name
        await self._connection.publisher.publish(
            [mark_message(topic, number, mark, at) for number in partitions]
        )

    # What an earlier run left

    async def finish_open(self, request: ApplyRequest) -> None:
        """Settle or work off what an earlier run left; a claim for something else is void. Raises ApplyUnderWay."""
        one = self._definitions.open
        if one is None:
            return
        is_wanted = self._definitions.version(one.version).digest == request.definition.digest
        if one.verdict == "stands" and one.apply is not None:
            if await self._comes_soon(one.apply):
                await self._work_off(one.apply)
            elif not is_wanted:
                raise ApplyUnderWay(one, f"its instant {format_instant(one.apply.at)} has not come yet")
        elif one.apply is not None:
            await self._end(one.id, one.version, "its apply was interrupted")
        elif not is_wanted or "shadow" in (one.kind, request.kind):
            await self._end(one.id, one.version, "its apply was interrupted before it was prepared")

    async def _comes_soon(self, apply: Apply) -> bool:
        """Return whether the instant has come, or comes within seconds by itself."""
        now = (await self._look()).clock
        if self._connection.clock == "wall":
            now = max(now, await self._reader.now() + SOON)
        return apply.at <= now

    async def _end(self, apply: str, version: int, reason: str) -> None:
        await self._write(Void(apply=apply, reason=reason))
        if self._definitions.verdict(apply) == "void":
            await self._mark(Mark(apply=apply, version=version, step="void"), self._all)

    # A switch

    async def switch(self, request: ApplyRequest) -> Applied:
        current = self._definitions.current
        if request.base is not None and request.base != current:
            raise BaseMoved(request.base, current)
        if self._definitions.version(current).digest == request.definition.digest:
            return Applied(current)
        await self._check_workers()
        one = self._definitions.open or await self._claim(request, await self._publish(request))
        await self._prepare(one)
        try:
            if request.at is not None and self._connection.clock == "wall":
                await self._wait_until(request.at)
            if request.check is not None:
                await request.check()
        except BaseException as error:
            refused = isinstance(error, Exception)
            reason = (
                "a check before the switch refused it" if refused else "its command ended before its instant"
            )
            await self._end(one.id, one.version, reason)
            raise
        before = await self._look()
        apply = await self._settle(one, request)
        if request.at is not None and not await self._comes_soon(apply):
            return Applied(apply.version, apply.id, apply.at, pending=True)
        await self._work_off(apply)
        await self._end_promoted(request.definition)
        return await self._sum_up(apply, before)

    async def _end_promoted(self, definition: Definition) -> None:
        """End the shadow, if it is the version that is in force now."""
        shadow = self._definitions.shadow
        if shadow is not None and self._definitions.version(shadow.version).digest == definition.digest:
            await self._write(Discarded(apply=shadow.id, at=await self._reader.now()))

    async def _check_workers(self) -> None:
        if not await read_workers(self._connection.client, self._connection.prefix):
            raise NoWorkers(self._connection.prefix)

    async def _publish(self, request: ApplyRequest) -> int:
        """Publish the version, if the newest one that was never in force is not the same already."""
        definitions, digest = self._definitions, request.definition.digest
        newest = definitions.newest
        if newest > definitions.current and definitions.version(newest).digest == digest:
            return newest
        chunks, version = to_records(
            request.definition,
            newest + 1,
            at=await self._reader.now(),
            author=request.author,
            message=request.message,
            base=definitions.current,
        )
        await self._write(*chunks, version)
        if definitions.version(newest + 1).digest != digest:
            raise ApplyUnderWay(None)
        return newest + 1

    async def _claim(self, request: ApplyRequest, version: int) -> ApplyHistory:
        name = secrets.token_hex(8)
        await self._write(
            Prepare(
                apply=name,
                version=version,
                base=self._definitions.current,
                at=await self._reader.now(),
                kind=request.kind,
                plan=request.plan,
            )
        )
        one = self._definitions.open
        if one is None or one.id != name:
            raise ApplyUnderWay(one)
        return one

    async def _prepare(self, one: ApplyHistory) -> None:
        """Wait until every partition keeps what the version reads. Raises ApplyRefused."""
        total = self._connection.partitions
        mark = Mark(apply=one.id, version=one.version, step="prepare")
        await self._mark(mark, [number for number in self._all if number not in one.prepared])
        while True:
            self._progress("prepare", len(one.prepared), total)
            if one.verdict == "void":
                raise ApplyVoided(one.version, one.reason)
            if one.refused:
                await self._end(one.id, one.version, "a worker refused it")
                raise ApplyRefused(one.version, one.refused)
            if len(one.prepared) == total:
                return
            seen = self._definitions.taken
            if not await self._registry.wait_for(lambda seen=seen: self._definitions.taken > seen, 5.0):  # type: ignore[misc]
                await self._check_workers()

    async def _wait_until(self, at: int) -> None:
        while (left := at - await self._reader.now() - AHEAD) > 0:
            self._progress("wait", 0, left)
            await asyncio.sleep(min(left / 1000, 30.0))

    async def _settle(self, one: ApplyHistory, request: ApplyRequest) -> Apply:
        """Choose the instant, mark it in every partition, and settle whether it stands. Raises ApplyVoided."""
        ahead = AHEAD
        for attempt in range(1, TRIES + 1):
            began = await self._reader.now()
            apply = await self._mark_switch(one, request, ahead)
            reason = await self._wait_for_marks(apply)
            if reason is None:
                await self._write(Stands(apply=apply.id))
            else:
                await self._write(Void(apply=apply.id, reason=reason))
            if self._definitions.verdict(apply.id) == "stands":
                await self._reach(apply, request)
                return apply
            await self._mark(Mark(apply=apply.id, version=apply.version, step="void"), self._all)
            if attempt == TRIES or request.at is not None:
                break
            ahead = 2 * (await self._reader.now() - began)
            one = await self._claim(request, one.version)
            await self._prepare(one)
        raise ApplyVoided(one.version, self._definitions.applies[one.id].reason)

    async def _mark_switch(self, one: ApplyHistory, request: ApplyRequest, ahead: int) -> Apply:
        apply = self._describe(one, request, await self._choose_instant(request.at, ahead))
        await self._write(apply)
        await self._mark(Mark(apply=one.id, version=one.version, step="switch", at=apply.at), self._all)
        return apply

    def _describe(self, one: ApplyHistory, request: ApplyRequest, at: int) -> Apply:
        """Return the record of the apply, with what differs from the version in force."""
        definitions = self._definitions
        old, new = definitions.definition_of(definitions.current), request.definition
        moved = dict(new.moved if request.moved is None else request.moved)
        differences = compare(old, new, moved)
        return Apply(
            id=one.id,
            version=one.version,
            base=definitions.current,
            at=at,
            judges=differences.judges,
            gates_only=differences.gates_only,
            folds_in=bool(differences.needs_facts),
            moved=moved,
            route=request.route,
            rollback_of=request.rollback_of,
            kind=request.kind,
            plan=request.plan,
            author=request.author,
            message=request.message,
        )

    async def _choose_instant(self, wanted: int | None, ahead: int) -> int:
        world = await self._look()
        standing = self._definitions.standing
        latest = max(world.clock, standing[-1].at if standing else 0)
        now = await self._reader.now()
        if wanted is not None:
            if wanted <= latest or (self._connection.clock == "wall" and wanted <= now):
                raise InstantPassed(format_instant(wanted), format_instant(max(latest, now)))
            return wanted
        return max(latest + 1, now + ahead) if self._connection.clock == "wall" else latest + 1

    async def _wait_for_marks(self, apply: Apply) -> str | None:
        """Wait until all partitions have the mark; return why the switch cannot happen, None if it can."""
        end = asyncio.get_running_loop().time() + SETTLED_WITHIN
        if self._connection.clock == "wall":
            end += max(0.0, (apply.at - await self._reader.now()) / 1000)
        while True:
            found = (await self._look()).changeovers
            marked = [
                one for one in found.values() if one.pending is not None and one.pending.apply == apply.id
            ]
            self._progress("mark", len(marked), len(found))
            if late := [number for number, one in found.items() if one.late == apply.id]:
                return f"partition {late[0]} was past its instant"
            if len(marked) == len(found):
                return None
            if self._definitions.verdict(apply.id) is not None:
                return "a partition ended it"
            if asyncio.get_running_loop().time() >= end:
                return f"only {len(marked)} of {len(found)} partitions read its mark in time"
            await asyncio.sleep(LOOKED_AT)

    async def _reach(self, apply: Apply, request: ApplyRequest) -> None:
        """On the clock of the facts, move the clocks to an instant that was chosen here."""
        if self._connection.clock == "facts" and request.at is None:
            await self._tick(apply.at)

    async def _tick(self, at: int) -> None:
        """Move every partition's clock to an instant."""
        topic = self._connection.topics.signals.name
        await self._connection.publisher.publish(
            [Message(topic, None, None, [(TICK, b"")], number, at) for number in self._all]
        )

    async def _work_off(self, apply: Apply) -> None:
        """Wait until every partition has switched all its accounts, and note that."""
        while True:
            found = (await self._look()).changeovers.values()
            done = sum(one.worked_off >= apply.version for one in found)
            self._progress("switch", done, self._connection.partitions)
            if done == self._connection.partitions:
                break
            await asyncio.sleep(LOOKED_AT)
        await self._write(AppliedRecord(apply=apply.id))
        fingerprint = self._definitions.version(self._definitions.current).fingerprint
        await note_definition(self._connection.client, self._connection.prefix, fingerprint)

    async def _sum_up(self, apply: Apply, before: World) -> Applied:
        sizes, was = (await self._look()).sizes, before.sizes
        moved = {
            name: sizes.get(name, 0) - was.get(name, 0)
            for name in sorted({*sizes, *was})
            if sizes.get(name, 0) != was.get(name, 0)
        }
        definition = self._definitions.definition_of(apply.version)
        empty = [
            f"segment {one.name} has no accounts"
            for one in definition.segments[:-1]
            if not one.draft and not sizes.get(one.name)
        ]
        return Applied(apply.version, apply.id, apply.at, moved=moved, warnings=empty)

    # A shadow

    async def shadow(self, request: ApplyRequest) -> Applied:
        """Have the version judged beside the one in force, from now on."""
        if (running := self._definitions.shadow) is not None:
            raise ShadowRuns(running.version)
        one = await self._claim(request, await self._publish(request))
        world = await self._look()
        at = max(world.clock, await self._reader.now() if self._connection.clock == "wall" else 0) + 1
        apply = self._describe(one, request, at)
        await self._write(apply, Stands(apply=one.id))
        await self._tick(at)  # so that every partition comes to the instant
        return Applied(one.version, one.id, at, pending=True)
