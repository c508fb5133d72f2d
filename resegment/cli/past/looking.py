"""Open the past of a prefix: the log of a running one, or an archive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.cli.connection import load_settings
from resegment.cli.options import Identity
from resegment.cli.servers import ServerOptions
from resegment.console.dates import spell_instant
from resegment.errors import RefusedEvent, ResegmentError
from resegment.identity.aliases import resolve_account
from resegment.identity.merges import Identities
from resegment.schemas.partitioning import partition_of
from resegment.segmentation.inspection.entry_time import EntryTime, find_entry_time
from resegment.state.redis.reader import PlacedAccount, PrefixReader
from resegment.streams.ahead import AheadRecords
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.identities.log import PARTITION, identities_in
from resegment.streams.kafka.topics import Topics
from resegment.streams.recovery.archived_log import ArchivedRefusals, ArchivedTopic
from resegment.streams.recovery.past import Past, PastAccount
from resegment.streams.recovery.replay import LogSource
from resegment.streams.sealing.keys import ProcessKeys


class LogSession(Protocol):
    """A session with a running prefix, as far as its log is needed."""

    @property
    def prefix(self) -> str: ...
    @property
    def bootstrap(self) -> str: ...
    @property
    def topics(self) -> Topics: ...
    @property
    def security(self) -> Mapping[str, Any]: ...
    @property
    def reader(self) -> PrefixReader: ...
    @property
    def keys(self) -> ProcessKeys: ...
    @property
    def on_facts(self) -> bool: ...

    async def load_registry(self) -> DefinitionRegistry: ...
    async def look_for_ahead_records(self) -> AheadRecords | None: ...
    async def now(self) -> int: ...


class FutureTime(ResegmentError):
    """The past was asked for a time that has not come."""

    def __init__(self, at: int) -> None:
        super().__init__(
            f"{spell_instant(at)} has not come yet",
            remedy="`resegment forecast` shows what is to come if nothing new becomes known.",
        )
        self.at = at


class ArchiveEmpty(ResegmentError):
    """An archive lacks what is needed to look back."""

    def __init__(self, path: str, topic: str) -> None:
        super().__init__(
            f"the archive at {path} has no {topic}",
            remedy="Let `resegment archive` run to its end once: it writes `definitions` last.",
        )
        self.path, self.topic = path, topic


@dataclass(frozen=True, slots=True)
class PastView:
    """What can be asked of the past. `known_until` (ms) is up to when everything is in it, as far as that is known."""

    past: Past
    registry: DefinitionRegistry
    source: LogSource
    partitions: int
    place: str
    """Where it is read from, in words."""
    known_until: int | None = None

    def partition_of(self, account: str) -> int:
        """Return the partition of an account."""
        return partition_of(account.encode(), self.partitions)

    async def identify(self) -> Callable[[str], str]:
        """Return what gives the account that an account is now: by the aliases of today, and merged as it is today."""
        identities = await self.read_identities()

        def now(account: str) -> str:
            try:
                return identities.account_of(resolve_account(account))
            except RefusedEvent:  # no company's by the lists of today
                return identities.account_of(account)

        return now

    async def read_identities(self) -> Identities:
        """Return what accounts were merged, as it is today."""
        return await identities_in(self.source.reading(self.source.topics.identities.name, [PARTITION]))

    def tell_version(self, at: int) -> str:
        """Return the version that was in force at an instant, in words."""
        definitions = self.registry.definitions
        number = definitions.in_force(at)
        return f"version {number} ({definitions.version(number).fingerprint})"

    def tell_reach(self, at: int) -> str | None:
        """Return what the past does not know up to an instant, in words; None if it has everything."""
        begins = self.past.begins
        if begins is None or begins > at:
            oldest = "it is empty" if begins is None else f"its oldest record is of {spell_instant(begins)}"
            return f"{self.place} does not reach back to {spell_instant(at)}: {oldest}"
        if self.known_until is not None and self.known_until < at:
            return (
                f"{self.place} has everything up to {spell_instant(self.known_until)} only: "
                "what became known later is missing"
            )
        return None


async def view_log(session: LogSession, at: int) -> PastView:
    """Return the past of a running prefix, to look at an instant (ms).

    Raises FutureTime where it has not come, TopicUnreadable and PrefixDiffers.
    """
    now = await session.now()
    if at > now and not session.on_facts:
        raise FutureTime(at)
    registry = await session.load_registry()
    ahead = await session.look_for_ahead_records()
    source = LogSource(session.bootstrap, session.topics, session.security, ahead, keys=session.keys)
    partitions = session.reader.partitions
    return PastView(
        Past(registry, source, partitions),
        registry,
        source,
        partitions,
        f"the log of prefix {session.prefix}",
        now,
    )


async def view_archive(servers: ServerOptions, path: str, at: int) -> PastView:
    """Return the past that an archive keeps, to look at an instant (ms); it needs no servers.

    Raises as `Archive.open`, FutureTime where the instant has not come, and ArchiveEmpty.
    """
    settings = load_settings(servers)
    archive = await asyncio.to_thread(lambda: Archive.open(Storage(path)))
    if archive.clock == "wall" and at > time.time() * 1000:
        raise FutureTime(at)
    topics = Topics(archive.prefix)
    keys = ProcessKeys(settings, archive.prefix)
    source = LogSource("", topics, {}, archive=archive, keys=keys)
    if archive.clock == "wall":
        source = replace(source, ahead=ArchivedRefusals(archive))
    definitions = Definitions()
    async for records in (await ArchivedTopic.open(archive, topics.definitions.name)).to_end():
        for record in records:
            definitions.take(record.value)
    if not definitions.versions:
        raise ArchiveEmpty(path, "definitions")
    registry = DefinitionRegistry(
        definitions, topics, facts_per_test=settings.facts_per_test, keys=keys.facts
    )
    held = await asyncio.to_thread(archive.manifests, "signals")
    if not held:
        raise ArchiveEmpty(path, "signals")
    on_facts = archive.clock == "facts"
    reaches = [one.clock if on_facts else one.caught_up for one in held.values()]
    known_until = max(reaches) if on_facts else min(reaches)
    return PastView(
        Past(registry, source, archive.partitions),
        registry,
        source,
        archive.partitions,
        f"the archive at {path}",
        known_until,
    )


async def find_accounts(view: PastView, at: int, identity: Identity) -> dict[str, PastAccount]:
    """Return the accounts at an instant (ms), by name."""
    if identity is Identity.now:
        found = await view.past.accounts_under(await view.identify(), at)
    else:
        found = await view.past.accounts(at)
    return {one.account: one for one in found}


def place(one: PastAccount) -> PlacedAccount:
    """Return the place of an account that has one."""
    member = one.state.membership
    return PlacedAccount(member.entered, one.account, member.segment or "")


def find_past_entries(
    view: PastView, found: Mapping[str, PastAccount], names: Sequence[str], at: int
) -> dict[str, EntryTime]:
    """Return since when the facts of some accounts had held at an instant (ms)."""
    engine = view.registry.timeline.at(at).engine
    return {name: find_entry_time(engine, name, found[name].state, at) for name in names}
