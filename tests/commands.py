"""Every command of the command line, by what it does: a new one has to be put here before the tests pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import typer

from resegment.cli import build

CHANGES: Final[dict[str, tuple[str, ...]]] = {
    "accounts merge": ("acme.io", "acme.com", "--yes"),
    "accounts resolve": ("hubspot:1", "acme.com"),
    "accounts unmerge": ("acme.io",),
    "apply": ("segments.yaml", "--yes"),
    "dead-letters retry": ("--reason", "not-json"),
    "discard": (),
    "forget": ("acme.com", "--yes"),
    "experiments show": ("does-it-help",),
    "owners leave": ("Ann Lee", "--yes"),
    "owners recount": (),
    "owners return": ("Ann Lee",),
    "prefix delete": ("look", "--yes"),
    "privacy encrypt": ("--to", "another"),
    "promote": ("--yes",),
    "rebuild": ("--partition", "0"),
    "repartition": ("another", "--partitions", "3"),
    "rollback": ("--yes",),
    "routing enroll": ("--all", "--yes"),
    "routing set": ("all",),
    "tokens create": ("ann@acme.com",),
    "tokens revoke": ("ann@acme.com",),
    "webhooks disable": ("crm", "--webhooks", "webhooks.yaml"),
    "webhooks enable": ("crm", "--webhooks", "webhooks.yaml"),
}
"""Change a prefix: recorded in the audit log, refused to a user of Redis who may only look. With arguments for each."""

LOOKS: Final = frozenset(
    [
        *(
            "accounts list",
            "accounts merges",
            "accounts unresolved",
            "audit",
            "changes",
            "dead-letters list",
            "dead-letters show",
            "experiments list",
            "explain",
            "forecast",
        ),
        *(
            "history",
            "outcomes",
            "learn",
            "owners list",
            "plan",
            "play",
            "privacy export",
            "routing history",
            "routing list",
            "routing show",
            "shadow",
            "show",
        ),
        *(
            "metrics",
            "report",
            "status",
            "tables check",
            "tokens list",
            "verify",
            "sinks list",
            "webhooks list",
        ),
    ]
)
"""Read a prefix."""

RUNS: Final = frozenset(
    [
        *(
            "archive",
            "bench",
            "console",
            "deliver",
            "demo",
            "ingest",
            "intake",
            "privacy init",
            "privacy keys",
            "privacy open",
            "privacy rotate",
            "sources scrape",
            "stale",
            "tables migrate",
            "tables write",
            "up",
            "sinks send",
            "sinks test",
            "webhooks test",
            "worker",
        ),
    ]
)
"""Run processes, or send events and requests: what each may do is up to its own rights in Kafka and Redis."""

LOCAL: Final = frozenset(
    [
        *(
            "backtest",
            "diff",
            "fmt",
            "lint",
            "normalize",
            "schema",
            "sources convert",
            "sources guess",
        ),
        "privacy keygen",
        *("sources list", "sources new", "sources show", "sources test", "test"),
    ]
)
"""Read and write files only."""


def commands() -> Iterator[str]:
    """Yield the name of each command, such as `routing set`."""
    yield from sorted(_walk(typer.main.get_command(build()), ()))


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from _walk(one, (*path, name))
    else:
        yield " ".join(path)
