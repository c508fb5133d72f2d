"""Progress bars on standard error if it is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, Protocol

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from resegment.console.terminal import screen

Advance = Callable[[int], None]


class Bars(Protocol):
    """Receives the progress of long work."""

    def watch(self, file: BinaryIO, size: int) -> BinaryIO:
        """Return the file with a bar that shows how far it is read; `size` in bytes."""
        ...

    def count(self, label: str, total: int) -> Advance:
        """Show a bar over `total` things; call the result with the number of newly finished ones."""
        ...


class _Silent:
    def watch(self, file: BinaryIO, size: int) -> BinaryIO:  # noqa: ARG002  # the port of Bars
        return file

    def count(self, label: str, total: int) -> Advance:  # noqa: ARG002  # as above
        return lambda _: None


SILENT: Final[Bars] = _Silent()
"""Shows nothing."""


@contextmanager
def show_progress() -> Iterator[Bars]:
    """Show bars that disappear when the work is done."""
    console = screen(error=True)
    if not console.is_terminal:
        yield SILENT
        return
    progress = Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )

    class _Shown:
        def watch(self, file: BinaryIO, size: int) -> BinaryIO:
            return progress.wrap_file(file, size, description="reading")

        def count(self, label: str, total: int) -> Advance:
            task = progress.add_task(label, total=total)
            return lambda done: progress.advance(task, done)

    with progress:
        yield _Shown()
