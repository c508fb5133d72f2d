"""A session with a running prefix: its servers, topics and state, for one command."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import typer
from redis.asyncio import Redis

from resegment.cli.connection import WrongUse, load_settings, resolve
from resegment.cli.operations.auditing import name_actor, open_trail
from resegment.cli.servers import ServerOptions
from resegment.errors import RefusedEvent, ResegmentError
from resegment.identity.aliases import resolve_account
from resegment.identity.names import Unresolved, read_name
from resegment.schemas.privacy.opening import FactKeys
from resegment.segmentation.language.parsing.suggestions import suggest_word
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.streams.ahead import AheadRecords, look_for_ahead_records
from resegment.streams.audit.trail import AuditTrail, check_may_change
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.definitions.starting import read_registry
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.kafka.topics import Topics
from resegment.streams.prefix import identities_of, is_known, read_prefix
from resegment.streams.sealing.keys import ProcessKeys

if TYPE_CHECKING:
    from resegment.cli.past.looking import PastView

T = TypeVar("T")


class NoSuchPrefix(ResegmentError):
    """Redis has no record of the prefix: no worker ran with it, or its data was deleted."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"Redis has no prefix {prefix}",
            remedy="Either no worker has run with it, or its data was deleted (FLUSHDB, an empty replica). Start a worker with "
            "`resegment up` or `resegment worker`, pass another --prefix, or restore the data with `resegment rebuild`.",
        )
        self.prefix = prefix


class UnknownSegment(WrongUse):
    """No version of the segments file has a segment of that name."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(
            f"no version of the segments file has a segment {name[:80]!r}",
            remedy=f"{suggest_word(name, names).capitalize()}.".replace("?.", "?"),
        )
        self.name = name


class Session(NamedTuple):
    """A prefix and the clients that read it; `held` is its record: partitions, clock, definition."""

    settings: Settings
    prefix: str
    bootstrap: str
    held: Mapping[str, str]
    client: Redis
    reader: PrefixReader
    topics: Topics
    segments: str
    """Path of the segments file."""
    security: Mapping[str, Any]
    """Security options for Kafka clients."""
    keys: ProcessKeys
    """What seals and opens personal fields."""

    @property
    def on_facts(self) -> bool:
        """Whether the prefix runs on the clock of the facts, not on the wall clock."""
        return self.held.get("clock") == "facts"

    def publisher(self, client_id: str) -> KafkaPublisher:
        """Return a publisher to the prefix's Kafka; the embedded broker gives out no producer ids."""
        external = self.settings.kafka is not None
        return KafkaPublisher(
            self.bootstrap,
            client_id=client_id,
            idempotent=external,
            security=self.security,
            seal=self.keys.seal(self.topics),
        )

    @property
    def trail(self) -> AuditTrail:
        """The audit log, for who runs the command."""
        return open_trail(self.client, self.prefix, self.settings, self.bootstrap, self.security)

    async def load_registry(self) -> DefinitionRegistry:
        """Return the versions of the prefix, as its workers have them. Raises TopicUnreadable and PrefixDiffers."""
        return await load_registry(
            *(self.segments, self.settings, self.held, self.topics, self.bootstrap, self.security),
            keys=self.keys.facts,
        )

    async def look_for_ahead_records(self) -> AheadRecords | None:
        """Return what finds the records of `signals` that workers refused. Raises StoreUnavailable."""
        clock = self.held.get("clock", "wall")
        return await look_for_ahead_records(self.client, self.prefix, clock, self.settings.tolerance)

    def identify(self, name: str) -> str:
        """Return the account that a domain or name means in this prefix now. Raises typer.BadParameter for an unknown name."""
        names, merged = identities_of(self.held)
        account = names.get(name, name)
        if account == name and read_name(name) == name:
            raise typer.BadParameter(Unresolved(name).message, param_hint="ACCOUNT")
        return merged.get(account, account)

    def identify_all(self, names: Iterable[str]) -> list[str]:
        """Return the accounts that domains or names mean, each once, in their order. Raises as `identify` does."""
        return list(dict.fromkeys(map(self.identify, names)))

    async def now(self) -> int:
        """Return the prefix's own time, ms. Raises StoreUnavailable."""
        if not self.on_facts:
            return await self.reader.now()
        return max([await self.reader.clock(number) for number in range(self.reader.partitions)])


@asynccontextmanager
async def open_session(
    servers: ServerOptions, *, changes: str | None = None, **given: Any
) -> AsyncIterator[Session]:
    """Open a session with the prefix that settings and options name. Raises NoSuchPrefix, StoreUnavailable, NotRunning.

    `changes` is the command, if it changes something: raises OnlyLooks if the user of Redis may not.
    """
    # typed errors report what goes wrong with Kafka
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    settings = load_settings(servers, **given)
    connection = resolve(settings)
    settings = connection.settings
    security = secure_kafka(settings).clients()
    keys = ProcessKeys(settings, connection.prefix)
    client = connect_redis(settings, connection.redis_url)
    try:
        held = await read_prefix(client, connection.prefix)
        if not is_known(held):
            raise NoSuchPrefix(connection.prefix)
        if changes is not None:
            await check_may_change(client, connection.prefix, changes, name_actor(settings))
        yield Session(
            settings,
            connection.prefix,
            connection.bootstrap,
            held,
            client,
            PrefixReader(client, connection.prefix, int(held["partitions"])),
            Topics(connection.prefix),
            connection.segments,
            security,
            keys,
        )
    finally:
        await keys.aclose()
        await client.aclose()


@asynccontextmanager
async def open_past(servers: ServerOptions, archive: str | None, at: int) -> AsyncIterator[PastView]:
    """Open the log of the prefix to look at an instant (ms), or the archive at a path, which needs no servers.

    Raises as `view_archive`, or as `open_session` and `view_log` do.
    """
    from resegment.cli.past.looking import view_archive, view_log  # noqa: PLC0415  # heavy, and seldom needed

    if archive is not None:
        yield await view_archive(servers, archive, at)
        return
    async with open_session(servers) as session:
        yield await view_log(session, at)


def check_segment(name: str, registry: DefinitionRegistry) -> None:
    """Raise UnknownSegment where no version of the prefix has a segment of that name."""
    definitions = registry.definitions
    names: dict[str, None] = {}
    for number in sorted(definitions.versions, reverse=True):
        with suppress(ResegmentError):  # a version that this release cannot read has no names to offer
            names |= dict.fromkeys(one.name for one in definitions.definition_of(number).segments)
    if name not in names:
        raise UnknownSegment(name, list(names))


def run_in_session(
    run: Callable[[Session], Awaitable[T]],
    servers: ServerOptions,
    *,
    changes: str | None = None,
    **given: Any,
) -> T:
    """Run a function in a session. Raises as `open_session` does."""

    async def looking() -> T:
        async with open_session(servers, changes=changes, **given) as session:
            return await run(session)

    return asyncio.run(looking())


async def load_registry(
    segments: str,
    settings: Settings,
    held: Mapping[str, str],
    topics: Topics,
    bootstrap: str,
    security: Mapping[str, Any],
    *,
    keys: FactKeys | None = None,
) -> DefinitionRegistry:
    """Return the versions of a prefix. The file at `segments` is read only where the prefix has no version yet.

    Raises TopicUnreadable, PrefixDiffers, NoSegmentsFile and InvalidSegments.
    """
    return await read_registry(
        lambda: load_definition(segments),
        held,
        topics,
        bootstrap,
        security,
        facts_per_test=settings.facts_per_test,
        keys=keys,
    )


def read_account(text: str) -> str:
    """Return the account that a domain, URL or email address means. Raises typer.BadParameter if it is no company's.

    A name or id that only a prefix may know is returned in its usual spelling, for `Session.identify`.
    """
    try:
        return resolve_account(text)
    except Unresolved as unresolved:
        return unresolved.name
    except RefusedEvent as error:
        raise typer.BadParameter(error.message, param_hint="ACCOUNT") from error


def read_accounts(names: Iterable[str] | None) -> list[str]:
    """Return the accounts that the texts mean, each once, in their order. Raises typer.BadParameter."""
    return list(dict.fromkeys(map(read_account, names or ())))
