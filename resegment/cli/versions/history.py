"""`resegment history` and `resegment show`: the versions of a prefix."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import explain_os_error

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.segmentation.definition import Content
    from resegment.streams.definitions.chronicle import VersionEntry
    from resegment.streams.definitions.history import Definitions

HISTORY_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment history

resegment history --json
"""
SHOW_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment show 3

resegment show 3 --output version-3
"""


class NotSaved(WrongUse):
    """A file of a version cannot be written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"cannot write {path}: {problem}",
            remedy="Choose a folder that is empty or does not exist yet, and that you may write to.",
        )
        self.path = path


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=HISTORY_EXAMPLES)(history)
    app.command(epilog=SHOW_EXAMPLES)(show)


@takes_servers
def history(servers: ServerOptions = DEFAULT_SERVERS, as_json: AsJson = False) -> None:
    """List the versions of the segments file, the newest last: who made each, what it changed, and since when it is in force.

    Applies that did not happen are listed too, with the reason.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.history import render_history
    from resegment.console.terminal import screen, write_json_lines

    prefix, versions = run_in_session(_tell, servers)
    if as_json:
        write_json_lines(sys.stdout.buffer, msgspec.to_builtins(versions))
    else:
        screen().print(render_history(versions, prefix))


async def _tell(session: Session) -> tuple[str, list[VersionEntry]]:
    from resegment.streams.definitions.chronicle import tell_history

    registry = await session.load_registry()
    return session.prefix, tell_history(registry.definitions, await session.now())


@takes_servers
def show(
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="The number of a version.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write the files of the version to this folder."),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print a version as it was written: its segments files, and the lists that its conditions read."""
    from resegment.cli.operations.session import run_in_session
    from resegment.console.terminal import print_note, screen, write_json

    definitions = run_in_session(_read, servers)
    version, content = definitions.version(number), definitions.content_of(number)
    files = _files(content)
    if output is not None:
        for name, _, data in files:
            _save(output, name, data)
        print_note(f"version {number}: {len(files)} file{'' if len(files) == 1 else 's'} in {output}")
    elif as_json:
        shown = [{"name": name, "role": role, "text": _text(data)} for name, role, data in files]
        about = {"number": number, "fingerprint": version.fingerprint, "author": version.author}
        write_json(sys.stdout.buffer, {**about, "message": version.message, "files": shown})
    else:
        print_note(f"version {number} ({version.fingerprint})")
        for name, _, data in files:
            if len(files) > 1:
                screen().print(f"# {name}", soft_wrap=True, style="dim")
            screen().print(_text(data), soft_wrap=True, end="" if data.endswith(b"\n") else "\n")


async def _read(session: Session) -> Definitions:
    return (await session.load_registry()).definitions


def _files(content: Content) -> list[tuple[str, str, bytes]]:
    return [
        *((name, "segments", data) for name, data in content.segments),
        *((name, "list", data) for name, data in content.lists),
    ]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def _save(folder: Path, name: str, data: bytes) -> None:
    """Write one file below the folder; a name that leads out of it, or a file that is there, is refused."""
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise NotSaved(folder / name, "the name leads out of the folder")
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise NotSaved(path, explain_os_error(error)) from error
