"""Lists by name and lists in files."""

import re
from typing import Any

from .facts import Moment

COMMENT = re.compile(r"(^|[ \t])#.*")
HEAD = re.compile(r"[a-z][a-z0-9+.-]*://")


def uncommented(line: str) -> str:
    """A line without its comment, which begins at a `#` at the start or after a space."""
    return COMMENT.sub("", line, count=1)


def lines(text: str) -> list[str]:
    """The entries of a list file."""
    kept = (uncommented(line).strip() for line in text.removeprefix("\ufeff").split("\n"))
    return [line for line in kept if line]


def account_of(subject: str) -> str:
    """The account that a subject or line speaks of.

    It knows no public suffixes: every domain that the cases and pairs speak of has two labels.
    """
    place = re.split(r"[/?#]", HEAD.sub("", subject.strip().lower(), count=1), maxsplit=1)[0]
    host = place.rpartition("@")[2].partition(":")[0].rstrip(".")
    return ".".join(host.encode("idna").decode().split(".")[-2:])


def in_file(moment: Moment, value: Any, path: str, *, is_account: bool) -> bool | None:
    """Whether a text is a line of the file; of what is no text that is not known."""
    if not isinstance(value, str):
        return None
    entries = lines(moment.files[path])
    return value in (map(account_of, entries) if is_account else entries)


def is_name_of_a_list(operand: Any) -> bool:
    return isinstance(operand, str) and operand.startswith("$")


def named(moment: Moment, operand: Any) -> Any:
    """The list that `$name` stands for; a list written out stands for itself."""
    return moment.file["lists"][operand[1:]] if is_name_of_a_list(operand) else operand
