"""Keep many lines, in memory or in a temporary file, and write them in order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

from resegment.cli.replaying.replay import Line
from resegment.errors import ResegmentError, explain_os_error

IN_MEMORY: Final = 64 * 1024 * 1024
"""So many bytes of lines are kept in memory; the others go to a file."""


class NoRoomForLines(ResegmentError):
    """The lines cannot be kept in a temporary file until they are written."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(
            f"cannot keep the changes in a temporary file: {explain_os_error(cause)}",
            remedy="Set TMPDIR to a folder with room for the output, or use --summary.",
        )


class LineStore:
    """Lines with what they are sorted by. Each has a place: so many bytes after the beginning."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._size = 0
        """The bytes in the file."""
        self._places: list[tuple[int, str, int, int, int]] = []

    def add(self, lines: Iterable[Line]) -> None:
        """Keep lines. Raises NoRoomForLines."""
        for at, account, number, line in lines:
            self._places.append((at, account, number, self._size + len(self._buffer), len(line)))
            self._buffer += line
        if len(self._buffer) > self._in_memory:
            self._spill()

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = cast("BinaryIO", TemporaryFile(prefix="resegment-"))  # noqa: SIM115  # closed by `close`
            self._file.write(self._buffer)
            self._file.flush()
        except OSError as error:
            raise NoRoomForLines(error) from error
        self._size += len(self._buffer)
        self._buffer.clear()

    def write(self, output: BinaryIO) -> None:
        """Write the lines in order. The store is empty afterwards."""
        self._places.sort()
        output.writelines(self._read(at, size) for _, _, _, at, size in self._places)
        output.flush()
        self.close()

    def _read(self, at: int, size: int) -> bytes:
        if self._file is None or at >= self._size:
            return bytes(self._buffer[at - self._size : at - self._size + size])
        return os.pread(self._file.fileno(), size, at)

    def close(self) -> None:
        """Drop the lines and the file."""
        self._places.clear()
        self._buffer.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file, self._size = None, 0
