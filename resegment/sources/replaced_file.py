"""Replace a file's content at once, so that a reader sees the old content or the new one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from resegment.errors import UserError, explain_os_error


class NotWritten(UserError):
    """A file that could not be replaced; its old content is untouched."""

    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(
            f"{path}: not written: {explain_os_error(cause)}",
            remedy="Check that you may write to the file and to its folder.",
        )
        self.path = path


def replace_file(path: Path, content: bytes) -> None:
    """Write the content to a file that exists and keep its mode; a link keeps pointing to it. Raises NotWritten."""
    try:
        _replace(path.resolve(strict=True), content)
    except OSError as error:
        raise NotWritten(path, error) from error


def _replace(path: Path, content: bytes) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o7777)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
