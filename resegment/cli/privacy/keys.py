"""`resegment privacy keygen`, `init`, `keys` and `rotate`: the keys of personal fields."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from resegment.cli.options import AsJson
from resegment.cli.privacy.opening import NoKeys
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.schemas.privacy.wrapping import OperatorKey
    from resegment.state.keys.store import KeyStore

KEYGEN_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment privacy keygen > key && chmod 600 key && export RESEGMENT_KEY_FILE=$PWD/key
"""
INIT_EXAMPLES: Final = """
[bold]Examples[/bold]

RESEGMENT_KEYS=redis://keys:6379 RESEGMENT_KEY_FILE=key resegment privacy init --prefix resegment
"""
ROTATE_EXAMPLES: Final = """
[bold]Examples[/bold]

echo "$(resegment privacy keygen),$(cat key)" > both && RESEGMENT_KEY_FILE=both resegment privacy rotate
"""

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=KEYGEN_EXAMPLES)(keygen)
    app.command(epilog=INIT_EXAMPLES)(init)
    app.command("keys")(show_keys)
    app.command(epilog=ROTATE_EXAMPLES)(rotate)


def keygen() -> None:
    """Print a new key for RESEGMENT_KEY: 32 random bytes in base64url.

    Keep it apart from the key store, and back it up: without it nothing that is sealed can be opened.
    """
    import os
    from base64 import urlsafe_b64encode

    from resegment.schemas.privacy.envelope import KEY_BYTES

    typer.echo(urlsafe_b64encode(os.urandom(KEY_BYTES)).decode().rstrip("="))


@takes_servers
def init(servers: ServerOptions = DEFAULT_SERVERS) -> None:
    """Make what the key store needs for the prefix. Again changes nothing.

    Refuses a store that may lose keys: Redis without an append-only file, PostgreSQL that acknowledges before it writes.
    """
    from resegment.console.terminal import print_note
    from resegment.state.keys.keyring import make_keys

    async def make(store: KeyStore, operator: OperatorKey, prefix: str) -> str:
        made = await make_keys(store, operator)
        done = "is ready" if made else "was ready already"
        return f"The key store {store.address} {done} for the prefix {prefix}. Set the same for every process of it."

    print_note(_with_store(servers, make))


@takes_servers
def show_keys(as_json: AsJson = False, servers: ServerOptions = DEFAULT_SERVERS) -> None:
    """Count the keys of the prefix: those in use, destroyed and forgotten, and operations that are not complete."""
    import orjson

    from resegment.state.keys.counting import KeyCounts, count_keys

    async def look(store: KeyStore, operator: OperatorKey, prefix: str) -> tuple[str, KeyCounts]:
        return store.address, await count_keys(store, operator, prefix)

    address, counts = _with_store(servers, look)
    if as_json:
        typer.echo(orjson.dumps({"store": address, **counts._asdict()}).decode())
        return
    typer.echo(f"Key store          {address}")
    typer.echo(f"Keys in use        {counts.live:,}")
    typer.echo(f"Destroyed          {counts.destroyed:,}")
    typer.echo(f"Forgotten          {counts.forgotten:,}")
    typer.echo(f"Older operator key {counts.older:,}")
    typer.echo(f"Operations open    {counts.pending:,}")


@takes_servers
def rotate(servers: ServerOptions = DEFAULT_SERVERS) -> None:
    """Wrap all keys with the first key of RESEGMENT_KEY, and keep nothing that an older one opens.

    First give all processes both keys, the new one first, separated by a comma. Then run this, and take the old one away.
    It can be stopped and run again. Nothing that is sealed changes.
    """
    from resegment.console.counts import count
    from resegment.console.terminal import print_note
    from resegment.state.keys.rotation import rotate as wrap_again

    done = _with_store(servers, wrap_again)
    print_note(
        f"{count(done.wrapped, 'key')} wrapped again, {done.already:,} were already. Take the older key out of RESEGMENT_KEY."
    )


def _with_store(servers: ServerOptions, run: Callable[[KeyStore, OperatorKey, str], Awaitable[T]]) -> T:
    """Run a function with the key store, the operator's key and the prefix. Raises NoKeys, and what opening raises."""
    from resegment.cli.connection import load_settings
    from resegment.state.keys.opening import has_keys, open_key_store, read_operator_key

    settings = load_settings(servers)
    if not has_keys(settings):
        raise NoKeys

    async def running() -> T:
        store = open_key_store(settings)
        try:
            return await run(store, read_operator_key(settings), settings.prefix)
        finally:
            await store.aclose()

    return asyncio.run(running())
