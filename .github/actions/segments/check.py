"""Check a segments file in a Git repository, and write a summary in Markdown.

Reads SEGMENTS, BASE (a commit; empty: there is nothing to compare with), EVENTS (a file of events; may be empty) and
STRICT. Writes to GITHUB_STEP_SUMMARY and GITHUB_OUTPUT where they are set. Exits with 1 if a check failed.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

CHANGES = 3
"""The exit code of `resegment plan` if something changes."""
NO_COMMIT = "0" * 40


class Run(NamedTuple):
    """How a command ended."""

    code: int
    output: str
    errors: str


def run(*command: str) -> Run:
    """Run a command to its end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


def resegment(*arguments: str) -> Run:
    """Run a command of Resegment."""
    return run(sys.executable, "-m", "resegment", *arguments)


def fence(text: str) -> str:
    """Return the text as a code block that nothing in it can end."""
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}text\n{text.rstrip()}\n{ticks}\n"


def annotation(one: dict[str, Any]) -> str:
    """Return a diagnostic of `resegment lint --json` as a workflow command, which shows it at its line."""
    remedy = f" ({one['remedy']})" if one["remedy"] else ""
    message = _escape(f"{one['path']}: {one['message']}{remedy} [{one['code']}]")
    place = f"file={_escape(one['file'], ':,')},line={one['line']},col={one['column']}"
    return f"::{one['severity']} {place}::{message}"


def _escape(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


@contextmanager
def checked_out(base: str, segments: str) -> Iterator[str | None]:
    """Yield the path of the segments file as it is at the base; None if there is no base, or no such file in it."""
    if not base or base == NO_COMMIT or base.startswith("-"):
        yield None
        return
    if run("git", "cat-file", "-e", f"{base}^{{commit}}").code:
        run("git", "fetch", "--quiet", "--no-tags", "--depth=1", "origin", base)
    with tempfile.TemporaryDirectory() as folder:
        tree = str(Path(folder, "base"))
        added = run("git", "worktree", "add", "--quiet", "--detach", tree, base)
        if added.code:
            print(f"::warning::cannot compare with {_escape(base)}: {_escape(added.errors.strip())}")
            yield None
            return
        try:
            inside = Path(segments).resolve().relative_to(_top())
            old = Path(tree, inside)
            yield str(old) if old.exists() else None
        finally:
            run("git", "worktree", "remove", "--force", tree)


def _top() -> Path:
    return Path(run("git", "rev-parse", "--show-toplevel").output.strip()).resolve()


def check(segments: str, *, strict: bool) -> tuple[str, bool]:
    """Return the checks of the file itself in Markdown, and whether all passed."""
    lint = resegment("lint", segments, "--json", *(["--strict"] if strict else []))
    found = [json.loads(line) for line in lint.output.splitlines()]
    for one in found:
        print(annotation(one))
    told = "".join(f"{one['file']}:{one['line']}: {one['severity']}: {one['message']}\n" for one in found)
    checks = {
        "One style (`resegment fmt`)": resegment("fmt", "--diff", segments),
        "Lint": lint._replace(output=told),
        "Tests": resegment("test", segments),
    }
    lines = ["| Check | Result |", "| --- | --- |"]
    details = []
    for name, done in checks.items():
        lines.append(f"| {name} | {'failed' if done.code else 'passed'} |")
        log(f"{name}\n{done.output}{done.errors}")
        if done.code:
            details.append(f"**{name}**\n\n{fence(done.output + done.errors)}")
    return "\n".join([*lines, "", *details]), not any(done.code for done in checks.values())


def compare(old: str | None, new: str, events: str) -> tuple[str, bool]:
    """Return what the new file changes in Markdown, and whether it changes something."""
    if old is None:
        return "There is no segments file to compare with.\n", True
    told = resegment("diff", old, new, "--json")
    if told.code:
        return f"The two versions cannot be compared.\n\n{fence(told.errors)}", True
    found = json.loads(told.output)
    changes = bool(found["differences"]) or found["segments_judged"] or found["gates_judged"]
    text = resegment("diff", old, new).output
    if not events:
        return fence(text), changes
    planned = resegment("plan", new, "--segments", old, "--events", events, "--markdown")
    if planned.code not in (0, CHANGES):
        return f"{fence(text)}\nThe plan failed.\n\n{fence(planned.errors)}", changes
    return f"{fence(text)}\n{planned.output}", changes


def write(variable: str, text: str) -> None:
    """Append to the file that an environment variable names; without one, print."""
    path = os.environ.get(variable)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    else:
        log(text)


def log(text: str) -> None:
    """Print text that may quote a file: the runner obeys no command in it."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}\n{text}\n::{token}::", flush=True)


def main() -> int:
    """Check the file, compare it with the base, and return the exit code."""
    segments = os.environ.get("SEGMENTS") or "segments.yaml"
    checks, passed = check(segments, strict=os.environ.get("STRICT") == "true")
    with checked_out(os.environ.get("BASE", ""), segments) as old:
        differences, changes = compare(old, segments, os.environ.get("EVENTS", ""))
    write("GITHUB_STEP_SUMMARY", f"## {segments}\n\n{checks}\n### What changes\n\n{differences}")
    write("GITHUB_OUTPUT", f"changes={'true' if changes else 'false'}\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
