"""Runs a page of the documentation: its commands, its edits of files, and what it says that a command prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGES = 3
"""The exit code of `resegment plan` if something changes."""


@dataclass(frozen=True)
class Step:
    """A block of a page; `line` is where it begins. `printed` is the block of text below a block of commands."""

    line: int
    kind: str
    text: str
    printed: str = ""


def steps_of(page: Path, *, until: str | None = None, since: str | None = None) -> Iterator[Step]:
    """The commands and edits of a page, or of the part before or after a heading."""
    text = page.read_text("utf-8")
    blocks = list(BLOCK.finditer(text))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        before = text[: block.start()]
        if (until and f"\n{until}\n" in before) or (since and f"\n{since}\n" not in before):
            continue
        if block[1] in ("sh", "diff"):
            shown = following is not None and following[1] == "text"
            yield Step(
                before.count("\n") + 1, block[1], block[2], following[2] if shown and following else ""
            )


@dataclass(frozen=True)
class Walk:
    """A folder in which a page is run, with the project's examples and command in it."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "examples").symlink_to(ROOT / "examples")
        command = self.folder / "bin" / "resegment"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m resegment "$@"\n')
        command.chmod(0o755)

    def take(self, step: Step, **variables: str) -> str:
        """Do what a step says, and return what its commands printed."""
        if step.kind == "diff":
            self.edit(step.text)
            return ""
        printed = self.run(step.text, **variables)
        missing = lines_missing(step.printed, printed)
        assert not missing, f"line {step.line}: {missing[0]!r} was not printed, but:\n{printed}"
        return printed

    def run(self, commands: str, **variables: str) -> str:
        """Run each command; only `plan` may say with its exit code that something changes."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
        path = f"{self.folder / 'bin'}:{environment['PATH']}"
        printed = ""
        for command in commands.replace("\\\n", " ").splitlines():
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self.folder,
                env={**environment, "PATH": path, "COLUMNS": "100", **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=240,
            )
            printed += done.stdout
            allowed = (0, CHANGES) if command.startswith("resegment plan") else (0,)
            assert done.returncode in allowed, f"{command} exits with {done.returncode}:\n{done.stdout}"
        return printed

    def edit(self, diff: str) -> None:
        """Replace each run of lines with `-` by the lines with `+` that follow it, in segments.yaml."""
        file = self.folder / "segments.yaml"
        text = file.read_text()
        for removed, added in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
            old, new = (
                "".join(line[1:] for line in part.splitlines(keepends=True)) for part in (removed, added)
            )
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the file"
            text = text.replace(old, new)
        file.write_text(text)


def lines_missing(stated: str, printed: str) -> list[str]:
    """The lines of a page that a command did not print, in this order; `...` stands for any lines."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    wanted = [" ".join(line.split()) for line in stated.splitlines()]
    return [one for one in wanted if one not in ("", "...") and not any(fits(one, line) for line in lines)]


def fits(wanted: str, line: str) -> bool:
    """Whether a line is printed as the page says; `...` inside it stands for any text, as does what comes before it."""
    if "..." not in wanted:
        return line == wanted
    return re.fullmatch(".*".join(map(re.escape, wanted.split("..."))), line) is not None
