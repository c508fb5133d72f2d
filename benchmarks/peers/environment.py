"""The environment of a peer whose dependencies may conflict with ours: a venv in a cache folder, made when it is wanted."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from resegment.errors import ResegmentError

QUIX: Final = "quixstreams==3.28.1"
PATIENCE: Final = 300.0
"""Seconds that an installation may take."""


class PeerNotInstalled(ResegmentError):
    """A peer's environment cannot be made; `problem` says why."""

    def __init__(self, package: str, folder: Path, problem: str) -> None:
        super().__init__(
            f"{package} cannot be installed: {problem}",
            remedy=f"Install it yourself: python -m venv {folder} && {folder}/bin/pip install {package}",
        )
        self.package, self.folder, self.problem = package, folder, problem


def folder_of(package: str) -> Path:
    """Return the folder of the environment, of which each release and each Python has its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    return cache / "resegment" / "peers" / f"{package.replace('==', '-')}-{python}"


async def find_python(package: str, say: Callable[[str], None], folder: Path | None = None) -> Path:
    """Return the Python of the peer's environment; make that first, if it is not there. Raises PeerNotInstalled."""
    folder = folder or folder_of(package)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f"{folder.name}.lock").open("w")
    except OSError as error:
        raise PeerNotInstalled(package, folder, str(error)) from error
    with lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)  # another run may be making it
        return await _find_python(package, say, folder)


async def _find_python(package: str, say: Callable[[str], None], folder: Path) -> Path:
    python = folder / "bin" / "python"
    name = package.partition("==")[0]
    if python.exists() and await _run(python, "-c", f"import {name}") is None:
        return python
    say(f"installing {package} in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        (Path(sys.executable), "-m", "venv", str(folder)),
        (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package),
        (python, "-c", f"import {name}"),
    ):
        if (problem := await _run(*command)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            raise PeerNotInstalled(package, folder, problem)
    return python


async def _run(program: Path, *arguments: str) -> str | None:
    """Return what is wrong; None if nothing is."""
    try:
        process = await asyncio.create_subprocess_exec(
            str(program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return str(error)
    try:
        async with asyncio.timeout(PATIENCE):
            _, wrote = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"it took more than {PATIENCE:.0f} seconds"
    if process.returncode == 0:
        return None
    lines = wrote.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else f"it ended with {process.returncode}"
