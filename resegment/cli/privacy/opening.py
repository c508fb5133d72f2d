"""`resegment privacy open`: open records of the topics for a reader of one's own."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.state.keys.keyring import Keyring

EXAMPLES: Final = """
[bold]Examples[/bold]

kcat -b localhost:9092 -C -e -t resegment.segment-changes | resegment privacy open

resegment privacy open < signals.jsonl > opened.jsonl
"""
TOGETHER: Final = 500
"""Lines whose keys are looked up at once."""


class NoKeys(WrongUse):
    """The settings name no key store."""

    def __init__(self) -> None:
        super().__init__(
            "RESEGMENT_KEYS is not set, so nothing can be opened",
            remedy="Set RESEGMENT_KEYS and RESEGMENT_KEY as the workers of the prefix have them.",
        )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("open", epilog=EXAMPLES)(open_records)


@takes_servers
def open_records(servers: ServerOptions = DEFAULT_SERVERS) -> None:
    """Read records from standard input, one JSON value a line, and print them opened.

    Takes values of segment-changes, workflow-commands, routing-events and signals. Facts of somebody who is forgotten are left out, messages
    lose that part and say so (forgotten). What is not sealed is printed as it is. Exits with 1 if a line does not open.
    """
    import asyncio

    from resegment.cli.connection import load_settings
    from resegment.console.counts import count
    from resegment.console.terminal import print_note
    from resegment.streams.sealing.keys import ProcessKeys

    async def run() -> tuple[int, list[int]]:
        keys = ProcessKeys(load_settings(servers))
        ring = await keys.ring()
        if ring is None:
            raise NoKeys
        absent, wrong, number, lines = 0, list[int](), 0, list[bytes]()
        try:
            for line in sys.stdin.buffer:
                lines.append(line)
                if len(lines) >= TOGETHER:
                    absent += await _print(ring, lines, number, wrong)
                    number, lines = number + len(lines), []
            absent += await _print(ring, lines, number, wrong)
        finally:
            await keys.aclose()
        return absent, wrong

    absent, wrong = asyncio.run(run())
    if absent:
        print_note(f"{count(absent, 'fact')} left out: somebody was forgotten.")
    if wrong:
        shown = ", ".join(map(str, wrong[:10]))
        more = ", ..." if len(wrong) > 10 else ""
        print_note(f"lines that do not open, because they were changed or moved: {shown}{more}")
        raise typer.Exit(1)


async def _print(ring: Keyring, lines: Sequence[bytes], before: int, wrong: list[int]) -> int:
    """Print lines, opened; note the numbers of those that do not open. Return how many are absent."""
    import msgspec

    from resegment.schemas.fact import Fact, decode_fact, encode_fact
    from resegment.schemas.privacy.envelope import Tampered
    from resegment.schemas.privacy.facts import keys_of, open_fact
    from resegment.schemas.privacy.messages import keys_of_message, open_message

    facts: dict[int, Fact] = {}
    ids = set[str]()
    for place, line in enumerate(lines):
        ids.update(keys_of_message(line))
        if b'"sealed"' in line:
            try:
                facts[place] = decode_fact(line)
            except msgspec.DecodeError:
                continue
            ids.update(keys_of(facts[place]))
    keys = await ring.prepare(ids)
    absent = 0
    for place, line in enumerate(lines):
        try:
            if place in facts:
                fact = open_fact(facts[place], keys)
                absent += fact is None
                value = None if fact is None else encode_fact(fact)
            else:
                value = open_message(line.rstrip(b"\r\n"), keys)
        except Tampered:
            wrong.append(before + place + 1)
            value = line.rstrip(b"\r\n")
        if value is not None:
            sys.stdout.buffer.write(value + b"\n")
    sys.stdout.buffer.flush()
    return absent
