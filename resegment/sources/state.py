"""Keep what sources learned between two runs in a file: the domains of ids, and the jobs of boards."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec

from resegment.errors import UserError, explain_os_error
from resegment.sources.boards.watching import BoardState


class SourceState(msgspec.Struct):
    """What was learned: the domain of each id by source, each board by source and name, and the ETag of its answer."""

    accounts: dict[str, dict[str, str]] = {}
    boards: dict[str, BoardState] = {}
    etags: dict[str, str] = {}


class KeptBoard(msgspec.Struct):
    """What is kept of one board elsewhere than in a file."""

    board: BoardState
    etag: str | None = None


def pack_boards(state: SourceState, names: Iterable[str]) -> dict[str, bytes]:
    """Return what is known of these boards, each as bytes."""
    return {
        name: msgspec.json.encode(KeptBoard(state.boards[name], state.etags.get(name)))
        for name in names
        if name in state.boards
    }


def unpack_boards(given: Mapping[str, bytes]) -> SourceState:
    """Return the state that `pack_boards` wrote. Raises msgspec.DecodeError."""
    state = SourceState()
    for name, value in given.items():
        kept = msgspec.json.decode(value, type=KeptBoard)
        state.boards[name] = kept.board
        if kept.etag is not None:
            state.etags[name] = kept.etag
    return state


class WrongState(UserError):
    """A file of state that cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}", remedy="Pass the file that --state wrote before, or a new name."
        )
        self.path = path


def read_state(path: Path) -> SourceState:
    """Return the state in a file; an empty one if there is no file. Raises WrongState."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SourceState)
    except FileNotFoundError:
        return SourceState()
    except OSError as error:
        raise WrongState(path, explain_os_error(error)) from error
    except msgspec.DecodeError as error:
        raise WrongState(path, f"not a state of sources: {error}") from error


def write_state(path: Path, state: SourceState) -> None:
    """Replace the file as a whole, so that a crash leaves the old one. Raises WrongState."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise WrongState(path, explain_os_error(error)) from error
