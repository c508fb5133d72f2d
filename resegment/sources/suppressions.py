"""Read lists of accounts that are never enrolled: text files with one company per line, as people and mailers write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from resegment.errors import RefusedEvent, ResegmentError, explain_os_error
from resegment.identity.aliases import follow_merges, resolve_subject
from resegment.sources.segments import check_list_file, folder_of, read_list_file

log = structlog.get_logger(__name__)

SHOWN_LINES: Final = 5
"""How many of the skipped lines are named."""

_COLUMNS: Final = (
    *("domain", "domains", "company domain", "website", "url", "account", "accounts"),
    *("email", "e-mail", "email address", "e-mail address", "emailaddress", "mail"),
)
"""Headers of the columns to read, the better ones first. A first line with one of them is a header."""
_ADDRESS: Final = re.compile(r"<([^<>]+)>")
"""The address in `Jo Doe <jo@acme.com>`."""
_DECORATION: Final = re.compile(r"^(?:mailto:)?[*.@'\"]*|[\s;,.'\"]*$", re.IGNORECASE)
"""What mailers put around a domain: `*@acme.com`, `*.acme.com`, `@acme.com`, `acme.com;`."""


class WrongList(ResegmentError):
    """A list that cannot be read at all. No text of the file is in the message: it may be any file of the machine."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy="Give a text file with one domain per line, like acme.com; `#` starts a comment.",
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class SuppressionList:
    """The accounts of a list, and the numbers of the lines that name no company."""

    accounts: frozenset[str]
    skipped: tuple[int, ...] = ()

    @property
    def warning(self) -> str | None:
        """Say which lines were skipped; None if there are none."""
        if not self.skipped:
            return None
        shown = ", ".join(map(str, self.skipped[:SHOWN_LINES]))
        more = ", ..." if len(self.skipped) > SHOWN_LINES else ""
        what = (
            "line names no company and is skipped"
            if len(self.skipped) == 1
            else "lines name no company and are skipped"
        )
        return f"{len(self.skipped):,} {what}: {shown}{more}"


class ListFiles:
    """The lists of a segments file, at paths relative to that file.

    `note_skipped` is called after each change of a file with the number of skipped lines of every list.
    """

    def __init__(
        self,
        segments: Path,
        note_skipped: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        self._folder, self._note_skipped = folder_of(segments), note_skipped
        self._read: dict[str, tuple[tuple[Path, int, int], SuppressionList]] = {}

    def load(self, files: Mapping[str, str]) -> dict[str, frozenset[str]]:
        """Return the accounts of each list, as they are merged now: `files` gives its path by its name.

        A file is read again only when it changes. Raises WrongList.
        """
        changed = not self._read.keys() <= files.keys()
        self._read = {name: one for name, one in self._read.items() if name in files}
        for name, given in files.items():
            path = self._folder / given
            stamp = (path, *_stamp(path))
            if name not in self._read or self._read[name][0] != stamp:
                found, changed = read_list(path), True
                self._read[name] = stamp, found
                if found.warning is not None:
                    log.warning("lines of a suppression list are skipped", list=name, reason=found.warning)
        if changed:
            self._note_skipped({name: len(one.skipped) for name, (_, one) in self._read.items()})
        return {name: follow_merges(one.accounts) for name, (_, one) in self._read.items()}


def read_list(path: Path) -> SuppressionList:
    """Read a list. A line that names no company is skipped, never the file. Raises WrongList."""
    try:
        raw = read_list_file(path)
    except OSError as error:
        raise WrongList(path, explain_os_error(error)) from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    accounts: set[str] = set()
    skipped: list[int] = []
    columns: list[int] = []
    first = True
    for number, cells in _rows(raw.decode(encoding, "replace")):
        names = [cell.lower() for cell in cells]
        if first:
            first = False
            columns = [names.index(one) for one in _COLUMNS if one in names]
            if columns:
                continue
        account = _find_account([cells[one] for one in columns if one < len(cells)] if columns else cells)
        if account is None:
            skipped.append(number)
        else:
            accounts.add(account)
    return SuppressionList(frozenset(accounts), tuple(skipped))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that is neither blank nor a comment, with its number."""
    delimiter = next((one for one in ("\t", ";") if one in text.partition("\n")[0]), ",")
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        try:
            cells = next(csv.reader([content], delimiter=delimiter), [])
        except csv.Error:
            cells = []
        yield number, [cell.strip() for cell in cells]


def _find_account(cells: list[str]) -> str | None:
    """Return the account of the first cell that names a company."""
    for cell in filter(None, cells):
        address = _ADDRESS.search(cell)
        try:
            return resolve_subject(_DECORATION.sub("", cell if address is None else address[1]))
        except RefusedEvent:
            continue
    return None


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = check_list_file(path)
    except OSError as error:
        raise WrongList(path, explain_os_error(error)) from error
    return found.st_mtime_ns, found.st_size
