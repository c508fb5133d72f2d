"""Lists of texts in files of their own: one a line, for `in_file` and `not_in_file`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Final

from resegment.documents.diagnostics import Path, Problems
from resegment.errors import RefusedEvent, explain_os_error
from resegment.identity.aliases import resolve_subject
from resegment.segmentation.language.conditions import FileList
from resegment.segmentation.language.limits import MAX_LINES

ReadFile = Callable[[str], bytes]
"""Returns the content of a file whose path is relative to the segments file. Raises OSError."""

_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*", re.DOTALL)
_SHOWN: Final = 3


def find_no_file(path: str) -> bytes:
    """Raise FileNotFoundError: for definitions that come without a folder."""
    raise FileNotFoundError(2, "No such file or directory", path)


class ListFiles:
    """Reads each file once for one definition. `digests` tells their contents apart, `contents` has them."""

    def __init__(self, read_file: ReadFile, problems: Problems) -> None:
        self._read_file, self._problems = read_file, problems
        self._texts: dict[str, dict[str, int] | None] = {}
        """The texts of each file, with the number of the line that has it first."""
        self._lists: dict[tuple[str, bool], FileList | None] = {}
        self.digests: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}

    def load(self, path: str, *, accounts: bool, where: Path) -> FileList | None:
        """Return the list of a file, its lines resolved as accounts are if asked for; None after an error."""
        if (path, accounts) not in self._lists:
            texts = self._load_texts(path, where)
            members: frozenset[str] | None = None
            if texts is not None:
                members = self._resolve(path, texts, where) if accounts else frozenset(texts)
            self._lists[path, accounts] = (
                None if members is None else FileList(path, self.digests[path], accounts, members)
            )
        return self._lists[path, accounts]

    def _load_texts(self, path: str, where: Path) -> dict[str, int] | None:
        if path in self._texts:
            return self._texts[path]
        self._texts[path] = None
        try:
            content = self._read_file(path)
            text = content.decode("utf-8-sig")
        except OSError as error:
            self._problems.error(
                "unreadable-file",
                f"{path}: {explain_os_error(error)}",
                where,
                "the path is relative to the segments file",
            )
            return None
        except UnicodeDecodeError:
            self._problems.error("unreadable-file", f"{path}: not UTF-8", where, "save it as UTF-8")
            return None
        lines = text.split("\n")
        if len(lines) - (not lines[-1]) > MAX_LINES:
            self._problems.error("too-large", f"{path} has more than {MAX_LINES:,} lines", where)
            return None
        self.digests[path] = hashlib.sha256(content).hexdigest()
        self.contents[path] = content
        numbered: dict[str, int] = {}
        for number, one in _texts_of(lines):
            numbered.setdefault(one, number)
        self._texts[path] = numbered
        return numbered

    def _resolve(self, path: str, texts: dict[str, int], where: Path) -> frozenset[str]:
        accounts: set[str] = set()
        wrong: list[int] = []
        for text, number in texts.items():
            try:
                accounts.add(resolve_subject(text))
            except RefusedEvent:
                wrong.append(number)
        if wrong:
            # The path may lead anywhere, so no text of the file is quoted.
            lines = ", ".join(str(number) for number in wrong[:_SHOWN])
            more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            what = "this line names" if len(wrong) == 1 else "these lines name"
            self._problems.warn(
                "never-met", f"{path}: {what} no company: {lines}{more}", where, "list company domains"
            )
        return frozenset(accounts)


def _texts_of(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        text = (_COMMENT.sub("", line, count=1) if "#" in line else line).strip()
        if text:
            yield number, text
