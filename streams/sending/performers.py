"""Make what carries out operations from the file of sinks: clients, call logs, limits and finders of contacts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from resegment.agents.sending.ports import CallLog, ContactFinder, Limiter
from resegment.agents.sending.runner import Clock, SignIn, SinkRunner, SinkSettings
from resegment.agents.sending.work import CommandWork, ContactRules, Performer
from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.sinks.client import VendorClient
from resegment.sinks.loading import LoadedSink, LoadedSinks, read_secrets
from resegment.sinks.port import ContactSearch
from resegment.sources.normalizers.titles import read_title
from resegment.state.sinks.calls import RedisCallLog, RedisLimiter
from resegment.streams.sending.contacts import AllContacts, SearchedContacts, TableContacts
from resegment.streams.sending.people import PeopleContacts

if TYPE_CHECKING:
    from redis.asyncio import Redis


def normalize_title(raw: str) -> str:
    """Return the role that a title names, or else its words: `Vice President, Sales` and `VP Sales` are one."""
    found = read_title(raw)
    return found.role or " ".join(raw.lower().replace(",", " ").replace(".", " ").split())


def find_account(written: str) -> str | None:
    """Return the account that a table means, or None if it is no company's domain."""
    try:
        return registrable_domain(written)
    except RefusedEvent:
        return None


class NoLimits:
    """Lets every request through: for commands that a person runs once."""

    async def take(self, _: object) -> float:
        """Return 0."""
        return 0.0


async def make_performer(
    loaded: LoadedSink,
    stack: AsyncExitStack,
    calls: CallLog,
    limiter: Limiter,
    *,
    process: str,
    dry_run: bool | None = None,
    clock: Clock | None = None,
) -> Performer:
    """Return what carries out the operations of one sink, as long as the stack is open."""
    client = await stack.enter_async_context(
        VendorClient(loaded.base, timeout=loaded.timeout, connections=loaded.entry.concurrency + 2)
    )
    dry = loaded.entry.dry_run if dry_run is None else dry_run
    runner = SinkRunner(
        SinkSettings(loaded.name, loaded.timeout, loaded.settle, dry),
        loaded.sink,
        SignIn(loaded.sink, lambda: read_secrets(loaded, os.environ)),
        transport=client,
        calls=calls,
        limiter=limiter,
        process=process,
        clock=clock or Clock(),
    )
    return Performer(loaded, runner)


async def make_performers(
    loaded: LoadedSinks, stack: AsyncExitStack, redis: Redis, prefix: str, process: str
) -> dict[str, Performer]:
    """Return what carries out the operations of each sink."""
    return {
        name: await make_performer(
            one,
            stack,
            RedisCallLog(redis, prefix, name),
            RedisLimiter(
                redis, prefix, name, [(each.requests, each.seconds, each.paths) for each in one.limits]
            ),
            process=process,
        )
        for name, one in loaded.sinks.items()
    }


def make_finder(
    loaded: LoadedSinks, performers: Mapping[str, Performer], people: Callable[[], ContactFinder]
) -> ContactFinder | None:
    """Return what finds contacts; None if the file names no place. Raises InvalidTable."""
    finders: list[ContactFinder] = []
    for source in loaded.file.contacts:
        if source.table is not None:
            finders.append(TableContacts(loaded.folder / source.table, find_account))
        elif source.sink is not None:
            performer = performers[source.sink]
            search = cast("ContactSearch", performer.loaded.sink)
            finders.append(SearchedContacts(source.sink, search, performer.runner))
        else:
            finders.append(people())
    return AllContacts(finders) if finders else None


def make_work(
    name: str, loaded: LoadedSinks, performers: Mapping[str, Performer], finder: ContactFinder | None
) -> CommandWork:
    """Return what works on the commands of a sink."""
    file = loaded.file
    rules = ContactRules(finder, file.personas, file.contacts_per_account, normalize_title)
    tasks = None if file.tasks is None else performers[file.tasks]
    return CommandWork(performers[name], rules, tasks)


def find_people(redis: Redis, prefix: str) -> Callable[[], ContactFinder]:
    """Return what makes the finder of contacts among `people` events."""

    def make() -> ContactFinder:
        return PeopleContacts(redis, prefix)

    return make


def describe_vendor(loaded: LoadedSink) -> dict[str, Any]:
    """Return what a sink can do, as plain JSON data."""
    return {
        "vendor": loaded.vendor.name,
        "can": sorted(loaded.vendor.capabilities),
        "instead": dict(loaded.vendor.instead),
        "workflows": sorted(loaded.targets),
        "fields": {} if loaded.entry.fields is None else loaded.entry.fields.names,
        "dry_run": loaded.entry.dry_run,
    }
