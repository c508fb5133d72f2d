"""`resegment ingest`: send events from files to the topics."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, EventFormat, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.source_options import Dates, DomainsFile, Empty, MapFile, SourceName, Zone
from resegment.errors import RefusedEvent, TransientError

if TYPE_CHECKING:
    from resegment.cli.connection import Connection
    from resegment.console.progress import Bars
    from resegment.schemas.fact import Fact
    from resegment.settings import Settings
    from resegment.sources.files.located import Located
    from resegment.sources.files.reader import Refusals
    from resegment.streams.kafka.topics import Topics

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment ingest events.jsonl.gz

my-scraper | resegment ingest -

resegment ingest history.csv --replay --until 2026-01-31

resegment ingest companies.csv --source hubspot --zone America/New_York
"""


_PATIENCE: Final = 5.0
"""Seconds to wait for an instance: a script may start it just before."""


class ReplayOptions(NamedTuple):
    """What was asked about a replay. `until` (ms) is how far time passes."""

    required: bool
    until: int | None
    allow_future: bool


class WrongClock(WrongUse):
    """The options do not match the clock of the prefix."""


class IngestStopped(TransientError):
    """Kafka stopped acknowledging events before all were sent; `sent` counts those that it had acknowledged."""

    def __init__(self, sent: int, cause: BaseException) -> None:
        super().__init__(
            f"stopped after {sent:,} events: Kafka did not acknowledge the next ones ({cause!r})",
            remedy="The rest was not sent. Check that the brokers answer and have room, then run the same command again: "
            "events that arrive twice count once.",
        )
        self.sent = sent


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(ingest)


@takes_servers
def ingest(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Events: .jsonl, .csv or .parquet files, a folder, or - for JSON Lines on standard input.",
        ),
    ],
    form: EventFormat = None,
    source: SourceName = None,
    mapping: MapFile = None,
    domains: DomainsFile = None,
    zone: Zone = None,
    dates: Dates = None,
    empty: Empty = False,
    until: Annotated[
        int | None,
        time_option("In a replay, let time pass up to this instant. Default: the last event."),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Require a replay: fail if the prefix runs on the wall clock."),
    ] = False,
    allow_future: Annotated[
        bool,
        typer.Option(
            "--allow-future",
            help="In a replay, send events of the future too: the clock moves to the last of them, for good.",
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any event is refused.")] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Send events to the topics of their kinds. Refused events are left out and reported.

    If the prefix runs on the clock of the facts (RESEGMENT_CLOCK=facts), the events are sorted and replayed as history.
    Exits with 1 if every event is refused.
    """
    import asyncio

    from resegment.cli.connection import load_settings, resolve
    from resegment.cli.definition.facts import report
    from resegment.cli.logging import set_up_logging
    from resegment.cli.source_options import choose_source
    from resegment.console.counts import count
    from resegment.console.progress import show_progress
    from resegment.console.terminal import print_note, write_json
    from resegment.sources.conversion import locate_events
    from resegment.sources.files.reader import Refusals, read_events

    chosen = choose_source(source, mapping, domains, zone, dates, empty=empty)
    settings = load_settings(servers)
    set_up_logging(settings, quiet=True)
    connection = resolve(settings, patience=_PATIENCE)
    settings = connection.settings
    refusals = Refusals(lets_wait=True)
    with show_progress() as bars:
        name = None if form is None else form.value
        types = _read_types(settings)
        if chosen is None:
            sources = [read_events(path, name, bars.watch, types) for path in files]
        else:
            chosen = replace(chosen, context=replace(chosen.context, unresolved=True))
            sources = [locate_events(path, chosen, refusals.remark) for path in files]
        decoder = Decoder(refusals)
        events = (pair for source in sources for pair in decoder.decode(source))
        how = ReplayOptions(required=replay, until=until, allow_future=allow_future)
        topics, seconds = asyncio.run(_send(settings, connection, events, decoder, bars, how))
    sent = topics.total()
    rate = f", {sent / seconds:,.0f}/s" if sent >= 100 else ""
    print_note(f"{count(sent, 'event')} sent to {connection.bootstrap} in {seconds:.1f} s{rate}")
    report(refusals, sent)
    if refusals.waiting:
        print_note(
            f"{count(refusals.waiting.total(), 'event')} of {count(len(refusals.waiting), 'name')} wait: "
            "`resegment accounts unresolved` shows them, `resegment accounts resolve` says which account each means"
        )
    if as_json:
        write_json(
            sys.stdout.buffer,
            {
                "sent": sent,
                "topics": dict(sorted(topics.items())),
                "refused": refusals.total,
                "waiting": refusals.waiting.total(),
                "reasons": dict(refusals.counts.most_common()),
                "unlisted_actions": {
                    f"{kind} {action}": number for (kind, action), number in refusals.unlisted.most_common()
                },
                "seconds": round(seconds, 3),
            },
        )
    if has_failed(sent, refusals.total, strict=strict):
        raise typer.Exit(1)


def _read_types(settings: Settings) -> dict[str, str]:
    """Return the types of the segments file's own attributes; none if there is no such file, or if it has errors."""
    from resegment.errors import UserError
    from resegment.sources.segments import load_definition

    try:
        return load_definition(str(settings.segments)).attribute_kinds
    except UserError:
        return {}


def has_failed(sent: int, refused: int, *, strict: bool) -> bool:
    """Tell whether the command fails: every event was refused, or with `strict` any."""
    return refused > 0 and (strict or not sent)


@dataclass(slots=True)
class Decoder:
    """Decodes the events of files. Those that break the contract are added to `refusals`.

    So are those that became known after `latest` (ms): on the clock of the facts, one of them would end every window.
    """

    refusals: Refusals
    latest: int | None = None

    def decode(self, events: Iterator[Located]) -> Iterator[tuple[Fact, bytes]]:
        """Yield each fact with the bytes of its event."""
        from resegment.sources.files.reader import decode_with_bytes

        return decode_with_bytes(events, self.refusals, self._check_time)

    def _check_time(self, fact: Fact) -> None:
        from resegment.schemas.times import format_instant

        if self.latest is not None and fact.recorded > self.latest:
            raise RefusedEvent(
                "clock-ahead",
                f"{format_instant(fact.recorded)} is in the future, and would end every window of the replay: correct "
                "the row, or allow it with --allow-future",
                field="time" if fact.recorded == fact.time else "recordedtime",
            )


async def _send(
    settings: Settings,
    connection: Connection,
    events: Iterator[tuple[Fact, bytes]],
    decoder: Decoder,
    bars: Bars,
    how: ReplayOptions,
) -> tuple[Counter[str], float]:
    """Send them live or as a replay, as the prefix requires; return how many to each topic, and the seconds."""
    from resegment.identity.aliases import use_identities
    from resegment.state.redis.client import connect_redis, read_time
    from resegment.streams.kafka.connectivity import check_access
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.operations.ingest import send_live, send_replay
    from resegment.streams.prefix import identities_of, read_prefix

    client = connect_redis(settings, connection.redis_url)
    try:
        held = await read_prefix(client, connection.prefix)
        use_identities(*identities_of(held))
        on_facts = _is_replay(held, connection.prefix, how)
        if on_facts and not how.allow_future and how.until is None:
            decoder.latest = await read_time(client) + settings.tolerance
    finally:
        await client.aclose()
    topics = Topics(connection.prefix)
    security = secure_kafka(settings).clients()
    await check_access(connection.bootstrap, security)
    async with KafkaPublisher(
        connection.bootstrap,
        client_id="resegment-ingest",
        idempotent=settings.kafka is not None,  # the embedded broker gives out no producer ids
        security=security,
    ) as publisher:
        begun = time.monotonic()
        if not on_facts:
            sent: Counter[str] = Counter()
            with counting_acknowledged() as note:
                await send_live(_count(events, topics, sent), publisher, topics, note)
        else:
            facts: Sequence[tuple[Fact, bytes]] = list(events)
            with counting_acknowledged(bars.count("sending", len(facts))) as note:
                total = await send_replay(
                    facts,
                    publisher,
                    topics,
                    partitions=int(held["partitions"]),
                    until=how.until,
                    progress=note,
                )
            sent = Counter({topics.replay.name: total})
        return sent, time.monotonic() - begun


@contextmanager
def counting_acknowledged(advance: Callable[[int], None] | None = None) -> Iterator[Callable[[int], None]]:
    """Count what Kafka acknowledges inside the block, and show it. Raises IngestStopped in place of PublishFailed."""
    from resegment.agents.batch import PublishFailed

    acknowledged = 0

    def note(done: int) -> None:
        nonlocal acknowledged
        acknowledged += done
        if advance is not None:
            advance(done)

    try:
        yield note
    except PublishFailed as error:
        raise IngestStopped(acknowledged, error.cause) from error


def _count(
    events: Iterable[tuple[Fact, bytes]], topics: Topics, sent: Counter[str]
) -> Iterator[tuple[Fact, bytes]]:
    """Pass the events through and count them by topic."""
    for fact, value in events:
        sent[topics.of_kind(fact.kind).name] += 1
        yield fact, value


def _is_replay(held: Mapping[str, str], prefix: str, how: ReplayOptions) -> bool:
    from resegment.streams.prefix import is_known

    if not is_known(held):
        raise WrongClock(
            f"Redis has no prefix {prefix}",
            remedy="Start `resegment up` or `resegment worker` first, or pass another --prefix.",
        )
    on_facts = held["clock"] == "facts"
    if (how.required or how.until is not None) and not on_facts:
        raise WrongClock(
            f"the prefix {prefix} runs on the wall clock and cannot replay history",
            remedy="Leave --replay and --until out, or replay into a new prefix with RESEGMENT_CLOCK=facts.",
        )
    return on_facts
