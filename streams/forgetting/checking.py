"""Say what of a forget is not complete yet, until when, and which team the operator has to ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from resegment.identity.merges import Identities, Operation
from resegment.settings import Settings
from resegment.state.keys.keyring import Keyring
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import archive_key
from resegment.state.redis.reader import PrefixReader
from resegment.state.redis.webhooks import WebhookStates
from resegment.state.sinks.states import SinkStates
from resegment.streams.forgetting.places import AccountPlaces
from resegment.streams.forgetting.plain_facts import count_plain_facts
from resegment.streams.identities.log import read_identities
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topic, Topics
from resegment.streams.sealing.keys import ProcessKeys

if TYPE_CHECKING:
    from redis.asyncio import Redis

DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a forget. `until` (ms) is when it is gone by itself; None where somebody has to act.

    `is_wrong` says that it should be gone already.
    """

    account: str
    person: bool
    what: str
    until: int | None = None
    is_wrong: bool = False


class Place(Protocol):
    """Where a prefix is."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def topics(self) -> Topics: ...
    @property
    def security(self) -> Mapping[str, Any]: ...
    @property
    def keys(self) -> ProcessKeys: ...


async def open_check(client: Redis, reader: PrefixReader, place: Place, settings: Settings) -> ForgottenCheck:
    """Return what looks for what is left. Raises as `ProcessKeys.ring` does."""
    ring = await place.keys.ring()
    kept = settings.retention, settings.backups_days, settings.kafka is None
    return ForgottenCheck(client, reader, place.bootstrap, place.topics, place.security, ring, *kept)


async def find_left(
    client: Redis, reader: PrefixReader, place: Place, settings: Settings, now: int
) -> list[Left]:
    """Return what is left of all that is forgotten at an instant (ms). Raises StoreUnavailable and TopicUnreadable."""
    check = await open_check(client, reader, place, settings)
    return await check.look(await read_identities(place.bootstrap, place.topics, place.security), now)


@dataclass(frozen=True, slots=True)
class ForgottenCheck:
    """Looks for what is left. Every call raises StoreUnavailable and TopicUnreadable."""

    client: Redis
    reader: PrefixReader
    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    ring: Keyring | None
    retention: timedelta | None
    """How long the topics of events keep records."""
    backups: int | None
    """For how many days backups are kept, None if nobody said."""
    embedded: bool = False
    """Whether the broker is the embedded one: its journal keeps records that were deleted from topics."""

    async def look(self, identities: Identities, now: int) -> list[Left]:
        """Return what is left of all that is forgotten at an instant (ms)."""
        shared = await self.look_at_shared()
        found: list[Left] = []
        operations = _in_force(identities)
        plain = await self._count_plain({name for one in operations for name in one.path})
        for one in operations:
            found += await self._look_at(one, identities)
            if count := sum(plain[name, bool(one.persons)] for name in one.path):
                what = f"{self.topics.signals.name} has events from before there were keys, as plain text: {count:,}"
                found.append(Left(one.account, bool(one.persons), what))
            for what, kept in shared.items():
                until = None if kept is None else one.at + kept
                if until is None or until > now:
                    found.append(Left(one.account, bool(one.persons), what, until))
        return found

    async def _look_at(self, one: Operation, identities: Identities) -> list[Left]:
        person = bool(one.persons)

        def wrong(account: str, what: str) -> Left:
            return Left(account, person, what, is_wrong=True)

        if one.number not in identities.settled:
            return [wrong(one.account, "workers have not carried it out yet")]
        if (why := identities.refused.get(one.number)) is not None:
            return [wrong(one.account, f"it could not be carried out: {why}")]
        found: list[Left] = []
        if self.ring is not None and not await _are_destroyed(self.ring, one):
            found.append(wrong(one.account, "keys of it are not destroyed"))
        if person:
            return found
        places = AccountPlaces(self.client, self.reader.prefix, self.reader.partitions)
        for account in one.path:
            (state,) = await self.reader.states([account])
            if state is None or state.identity is None or not state.identity.forgotten or state.entries:
                found.append(wrong(account, "Redis has its state"))
            for what, count in (await places.count(account)).items():
                found.append(wrong(account, f"Redis has {what}: {count:,}"))
        return found

    async def _count_plain(self, accounts: Collection[str]) -> Counter[tuple[str, bool]]:
        if self.ring is None or not accounts:
            return Counter()  # without keys all is plain text
        numbers = sorted({self.reader.partition_of(one) for one in accounts})
        topic = self.topics.signals.name
        async with reading(self.bootstrap, topic, numbers, security=self.security) as log:
            return await count_plain_facts(log.to_end(), accounts, self.ring)

    async def look_at_shared(self) -> dict[str, int | None]:
        """Return what may have copies of anything forgotten, each with how long (ms) it has them; None: until asked."""
        found: dict[str, int | None] = {}
        for topic in self.topics.triggers:
            if await self._has_records(topic):
                found[f"the events as they were sent, in {topic.name}"] = _ms(self.retention)
        if self.embedded:
            found["the events as they were sent, in the journal of the embedded broker"] = _ms(self.retention)
        if self.ring is None:
            found["without keys, signals and other topics keep the events as plain text"] = None
            for topic in (self.topics.dead_letters, self.topics.unresolved):
                if await self._has_records(topic):
                    found[f"refused events, in {topic.name}"] = _ms(topic.retention)
        else:
            found["dead letters of which no account can be read"] = _ms(self.topics.dead_letters.retention)
            found["events whose subject is not resolved, as long as they wait"] = _ms(
                self.topics.unresolved.retention
            )
        days = self.backups
        found["backups of Redis, Kafka and the key store"] = None if days is None else days * DAY
        found[
            "the append-only file and the snapshot of Redis, until it writes them again (BGREWRITEAOF, BGSAVE)"
        ] = None
        with answering("look for an archive"):
            if self.ring is None and await self.client.exists(archive_key(self.reader.prefix)):
                found["the archive, whose files have the events as plain text"] = None
        for name in await SinkStates(self.client, self.reader.prefix).read():
            found[f"the sink {name}: ask the operator of the service to delete what commands told it"] = None
        for name in await WebhookStates(self.client, self.reader.prefix).read():
            found[f"the webhook {name}: ask the receiver to delete what commands told it"] = None
        return found

    async def _has_records(self, topic: Topic) -> bool:
        try:
            async with reading(self.bootstrap, topic.name, security=self.security) as log:
                ends = await log.ends()
                return any(end > log.begins.get(number, 0) for number, end in ends.items())
        except TopicUnreadable as error:
            if not error.is_missing:
                raise
            return False


def _in_force(identities: Identities) -> list[Operation]:
    """Return the forgets that were not undone, the first of each account and set of persons."""
    numbers = {*identities.forgotten.values()}
    for known in identities.forgotten_persons.values():
        numbers |= {*known.values()}
    return [identities.operations[number] for number in sorted(numbers)]


async def _are_destroyed(ring: Keyring, one: Operation) -> bool:
    names = list(one.persons) or [ring.names.account(account) for account in one.path]
    records = await ring.store.read(names)
    return all(record is not None and record.forgotten and not any(record.versions) for record in records)


def _ms(kept: timedelta | None) -> int | None:
    return None if kept is None else int(kept.total_seconds() * 1000)
