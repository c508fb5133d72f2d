"""What `resegment up` prints once everything runs: the addresses, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.counts import count
from resegment.routing.describe import MODES
from resegment.schemas.routing import Mode
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.state.redis.address import without_password
from resegment.streams.kafka.topics import Topics

EVENT = (
    '{"specversion":"1.0","id":"1","source":"/try","type":"gtm.hiring.v1","subject":"acme.com",'
    '"time":"2026-01-31T09:00:00Z","data":{"change":"opened","title":"Account Executive","function":"sales"}}'
)
"""An event to try."""


class Addresses(Protocol):
    """The addresses of a running instance."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def redis_url(self) -> str: ...
    @property
    def http_url(self) -> str | None: ...


def render_up(
    settings: Settings,
    definition: Definition,
    addresses: Addresses,
    left_accounts: int,
    mode: Mode,
    endpoints: Sequence[str] = (),
    key: Path | None = None,
    sinks: Sequence[str] = (),
) -> RenderableType:
    """Render the addresses, the topics, the routing mode, how many accounts an earlier run left, and an event to try.

    `key` is the file with the key of the intake over HTTP.
    """
    topics = Topics(settings.prefix)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim")
    grid.add_row(
        "  Kafka",
        addresses.bootstrap,
        "" if settings.kafka else f"embedded: log in {settings.folder / 'journal'}",
    )
    grid.add_row(
        "  Redis",
        without_password(addresses.redis_url),
        "" if settings.redis else f"embedded: data in {settings.folder / 'redis'}",
    )
    grid.add_row("  HTTP", addresses.http_url or "", "/healthz, /readyz, /metrics")
    grid.add_row("  Console", f"{addresses.http_url or ''}/console/", "open it in a browser")
    if endpoints:
        grid.add_row("  Webhooks", ", ".join(endpoints), f"from {settings.webhooks}")
    if sinks:
        grid.add_row("  Sinks", ", ".join(sinks), f"from {settings.sinks}")
    head = Text("Resegment is up: ", style="bold green")
    head.append(
        f"{count(len(definition.segments), 'segment')} from {settings.segments}, "
        f"{count(settings.partitions, 'partition')}, prefix {settings.prefix}",
        style="not bold default",
    )
    parts: list[RenderableType] = [Text(), head, Text(), grid, Text(), _topics(topics), Text()]
    option = _folder_option(settings.folder)
    parts += [*_intake(key or settings.intake), Text()]
    parts += [*_routing(mode, option), Text()]
    if left_accounts and settings.kafka is None:
        parts += [
            Text(f"  Accounts of an earlier run: {left_accounts:,}. Their log is there too."),
            Text(),
        ]
    parts += [
        Text("  To send an event, run in another shell:", style="bold"),
        Text(f"  echo '{EVENT}' | resegment ingest{option} -", no_wrap=True, overflow="ignore"),
        Text(),
        Text("  Press Ctrl-C to stop.", style="dim"),
    ]
    return Group(*parts)


def _intake(keys: Path | None) -> list[RenderableType]:
    """Render where events and webhooks are taken over HTTP, and where the key is."""
    head = Text("  HTTP in ", style="bold").append(
        "POST /events and /sources/NAME, described at /docs, with the key in", style="not bold"
    )
    return [head, Text(f"  {keys}", no_wrap=True, overflow="ignore")]


def _routing(mode: Mode, option: str) -> list[RenderableType]:
    """Render the routing mode, and how to change it."""
    head = Text("  Routing ", style="bold").append(f"{mode}: {MODES[mode]}.", style="not bold")
    other = "Once your accounts are loaded: " if mode == "none" else "To change it: "
    return [
        head,
        Text(f"  {other}resegment routing set{option} {'changed' if mode == 'none' else 'all|changed|none'}"),
    ]


def _topics(topics: Topics) -> Table:
    prefix = f"{topics.prefix}." if topics.prefix else ""
    names = [one.name.removeprefix(prefix) for one in topics.triggers if one is not topics.replay]
    kinds = [name.removeprefix("triggers.") for name in names if name.startswith("triggers.")]
    others = [prefix + name for name in names if not name.startswith("triggers.")]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    grid.add_row("  Events in", f"{prefix}triggers.KIND, where KIND is one of {', '.join(kinds)}")
    grid.add_row("", ", ".join(others))
    grid.add_row("  Out", f"{topics.segment_changes.name}, {topics.workflow_commands.name}")
    grid.add_row("  Refused", topics.dead_letters.name)
    return grid


def _folder_option(folder: Path) -> str:
    default = Settings.model_fields["folder"].default
    return "" if folder == default else f" --folder {shlex.quote(str(folder))}"
