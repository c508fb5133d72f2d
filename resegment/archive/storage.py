"""Where an archive lies: a folder, or any other place that fsspec can write to."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from resegment.errors import TransientError, UserError

PART: Final = ".part"
"""How the name of a file ends that a local archive is still writing."""


class ArchiveUnusable(UserError):
    """No archive can be kept at the path."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(f"{path} cannot be used as an archive: {problem}", remedy=remedy)
        self.path, self.problem = path, problem


class ArchiveUnreachable(TransientError):
    """The storage of an archive does not answer, refuses, or has no room."""

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(
            f"the archive at {path} cannot be read or written: {cause or cause!r}",
            remedy="Check the address, the credentials and the room left. Nothing is lost: it continues where it stopped.",
        )
        self.path, self.cause = path, cause


class Storage:
    """The files of one archive, by their paths in it. A file is written whole or not at all. Blocks.

    Every method raises ArchiveUnreachable.
    """

    def __init__(self, path: str, **options: Any) -> None:
        """Raise ArchiveUnusable where no file system knows the path."""
        self.path = path
        try:
            self._files, root = fsspec.core.url_to_fs(path, **options)
        except (ImportError, ValueError) as error:
            raise ArchiveUnusable(
                path, str(error), "Install what it needs: `pip install 'resegment[s3]'` for s3://."
            ) from error
        self._root = root.rstrip("/")
        self._is_local = isinstance(self._files, LocalFileSystem)

    def read(self, name: str) -> bytes | None:
        """Return what a file holds, None where there is no such file."""
        with self._reaching():
            try:
                found: bytes = self._files.cat_file(self._at(name))
            except FileNotFoundError:
                return None
            return found

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that does not exist yet; return False where one exists that holds something else.

        One that holds the same is this one: a client that got no answer may have written it twice.
        """
        with self._reaching():
            try:
                if self._is_local:
                    self._link(Path(self._at(name)), data)
                else:
                    self._files.pipe_file(self._at(name), data, mode="create")
            except FileExistsError:
                return self.read(name) == data
            return True

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; one that is gone already is no problem."""
        with self._reaching():
            for name in names:
                with suppress(FileNotFoundError):
                    self._files.rm_file(self._at(name))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of every file in a folder and below it, by its path in the archive."""
        with self._reaching():
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        start = len(self._root) + 1
        return {name[start:]: int(one["size"] or 0) for name, one in found.items()}

    def check_exclusive(self, name: str) -> None:
        """Raise ArchiveUnusable if the file, which exists, could be created again: two archivers could then collide."""
        if self.create(name, b"{}"):
            raise ArchiveUnusable(
                self.path,
                "a file that exists there can be created again",
                "Use a file system that refuses that: a local folder, S3, or another one with conditional writes.",
            )

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @staticmethod
    def _link(place: Path, data: bytes) -> None:
        """Write the file whole, on disk, and only then under its name."""
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}{PART}")
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, place)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except (OSError, _botocore_error()) as error:
            raise ArchiveUnreachable(self.path, error) from error


def _botocore_error() -> type[Exception]:
    """Return the root of what S3 clients raise, if they are installed."""
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # an extra
    except ImportError:
        return OSError
    root: type[Exception] = BotoCoreError
    return root
