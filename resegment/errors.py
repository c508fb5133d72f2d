"""The errors of the project: one root, and one category for each way to react.

Each error says what failed, where, and how to fix it. A port owns the errors that it promises: they are declared
next to the protocol, and every implementation raises them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self


class ResegmentError(Exception):
    """Root of every error that the project raises on purpose.

    `remedy` tells the user what to do about it; the command line prints it below the message.
    """

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UserError(ResegmentError):
    """The user asked for something that cannot work: a command, a setting or a file is wrong.

    The command line exits with 2. Trying again does not help.
    """


class TransientError(ResegmentError):
    """A server does not answer, or has no room: the same call may succeed later. Nothing is lost."""


class PartitionLost(ResegmentError):
    """What a worker knows of a partition is out of date: it must drop its memory and take the partition again."""


class FatalError(ResegmentError):
    """Retrying cannot fix this. A worker or command that meets it ends and says what a person has to do."""


class RefusedEvent(ResegmentError):
    """One event that breaks the contract: it goes to the dead letters.

    `reason` is a stable slug (`not-json`, `wrong-envelope`, `unknown-kind`, `wrong-type`, `not-a-company`,
    `absurd-time`, `too-large`, `decision-failed` ...), `field` the path inside the event that is wrong (or None), `offset` that of the
    record, once it is known.
    """

    def __init__(self, reason: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.offset: int | None = None

    def at(self, offset: int) -> Self:
        """Note the offset of the refused record, for the log; return the error itself."""
        self.offset = offset
        return self


def explain_os_error(error: OSError) -> str:
    """Return what keeps a file from being read or written, in the same words everywhere."""
    for kind, words in _OS_ERRORS.items():
        if isinstance(error, kind):
            return words
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


_OS_ERRORS: Final[dict[type[OSError], str]] = {
    FileNotFoundError: "no such file or folder",
    PermissionError: "permission denied",
    FileExistsError: "a file has that name already",
    IsADirectoryError: "it is a folder, not a file",
    NotADirectoryError: "part of its path is a file, not a folder",
}


class FolderNotWritable(UserError):
    """The folder cannot be made, or nothing can be written to it."""

    def __init__(self, folder: Path, cause: OSError) -> None:
        super().__init__(
            f"cannot write to the folder {folder}: {explain_os_error(cause)}",
            remedy="Choose a folder that can be created and that you may write to.",
        )
        self.folder = folder
