"""Steps of a long command: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.text import Text


class Step:
    """One running step. `text` is printed once it is done."""

    def __init__(self, label: str, progress: Progress | None, total: int | None) -> None:
        self.text = label
        self._progress = progress
        self._task = None if progress is None else progress.add_task(label, total=total)

    def reach(self, done: int) -> None:
        """Report that `done` things of the step are done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)


@contextmanager
def step(console: Console, label: str, total: int | None = None) -> Iterator[Step]:
    """Show the step while the block runs, then one line with its duration."""
    begun = time.monotonic()
    if console.is_terminal:
        bar = [BarColumn(bar_width=40), TaskProgressColumn()] if total else []
        progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), *bar, console=console, transient=True
        )
        with progress:
            current = Step(label, progress, total)
            yield current
    else:
        current = Step(label, None, total)
        yield current
    line = Text("✓ ", style="green").append(current.text, style="default")
    console.print(line.append(f"  {time.monotonic() - begun:.1f} s", style="dim"))
