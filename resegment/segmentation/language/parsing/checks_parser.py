"""Read the tests of one value: a scalar, a list, or a map of operators. Every error is collected with its path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import re2

from resegment.documents.diagnostics import Path, Problems
from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_subject
from resegment.identity.domains import registrable_domain
from resegment.schemas.times import format_duration, parse_duration, read_moment
from resegment.segmentation.language.conditions import Check, Checks
from resegment.segmentation.language.limits import MAX_DURATION, MAX_LIST, MAX_PATTERN
from resegment.segmentation.language.list_files import ListFiles
from resegment.segmentation.language.operators import (
    EQUALITIES,
    IN_TIME,
    KNOWN_WITHIN,
    ON_COLLECTIONS,
    ON_DATES,
    ON_FILES,
    ON_TEXT,
    OPERATORS,
    ORDERINGS,
    compile_regex,
    type_of,
)

INSTANT: Final = "instant"
"""The kind of a trait that is the time of a fact: only dates are compared with it."""

TAKES_LIST: Final = frozenset({"in", "not_in", "between", "contains_any", *ON_COLLECTIONS})


class Subject(NamedTuple):
    """What is tested: the `kind` of value, and the operators that make no sense there."""

    kind: str
    refused: frozenset[str] = frozenset({KNOWN_WITHIN})
    account: bool = False


ACCOUNT_NAME: Final = Subject("text", frozenset({KNOWN_WITHIN, *ON_DATES}), account=True)
COUNT: Final = Subject("number", frozenset({KNOWN_WITHIN, *ON_DATES, *ON_FILES}))


def fact_field(kind: str) -> Subject:
    """Return a field of a fact's own data, in `where`."""
    return Subject(kind, IN_TIME)


class ChecksParser:
    """Reads tests of values. `lists` are those that `$name` stands for."""

    def __init__(self, problems: Problems, lists: Mapping[str, list[Any]], files: ListFiles) -> None:
        self.problems, self.lists, self.files = problems, lists, files

    def read(self, raw: Any, path: Path, subject: Subject) -> Checks | None:
        """Return the checks, or None where they have errors (then collected)."""
        if isinstance(raw, dict):
            if not raw:
                self.problems.error("empty-group", "the test is empty", path)
                return None
            checks = [self._read(name, operand, (*path, name), subject) for name, operand in raw.items()]
            good = tuple(check for check in checks if check is not None)
            if len(good) == 1 and good[0].operator == KNOWN_WITHIN and len(checks) == 1:
                self.problems.error(
                    "wrong-shape", "known_within needs another operator beside it", path, "add exists: true"
                )
                return None
            return good if len(good) == len(checks) else None
        if isinstance(raw, str) and raw.startswith("$"):
            check = self._read("in", raw, path, subject)
        else:
            check = self._read("in" if isinstance(raw, list) else "eq", raw, path, subject)
        return None if check is None else (check,)

    def _read(self, name: str, operand: Any, path: Path, subject: Subject) -> Check | None:
        if name not in OPERATORS:
            known = f"use one of {', '.join(OPERATORS)}"
            self.problems.error("unknown-operator", f"{name!r} is not an operator", path, known, at_key=True)
            return None
        if name in subject.refused:
            self.problems.error("wrong-place", f"{name} can't be used here", path, at_key=True)
            return None
        if name in TAKES_LIST and isinstance(operand, str) and operand.startswith("$"):
            operand = self._resolve(operand, path)
            if operand is None:
                return None
        wrong = _operand_error(name, operand)
        if wrong:
            self.problems.error("wrong-operand", f"{name}: {wrong}", path)
            return None
        if not _can_match(name, operand, subject.kind):
            article = _ARTICLES.get(subject.kind, f"a {subject.kind}")
            self.problems.error("never-matches", f"{name} {operand!r} cannot match {article}", path)
            return None
        if name in ON_FILES:
            lines = self.files.load(operand, accounts=subject.account, where=path)
            return None if lines is None else Check(name, lines)
        if subject.account and name in EQUALITIES:
            if not self._are_accounts(operand, path):
                return None
            operand = _resolve_accounts(operand)
        return Check(name, tuple(operand) if isinstance(operand, list) else operand)

    def _resolve(self, name: str, path: Path) -> list[Any] | None:
        found = self.lists.get(name[1:])
        if found is None:
            known = f"use one of {', '.join(self.lists)}" if self.lists else "the file defines none"
            self.problems.error("unknown-list", f"no list is named {name[1:]!r}", path, known)
        return found or None

    def _are_accounts(self, operand: Any, path: Path) -> bool:
        fine = True
        for index, one in enumerate(operand if isinstance(operand, list) else (operand,)):
            here = (*path, index) if isinstance(operand, list) else path
            if isinstance(one, str):
                fine = check_account(one, here, self.problems) and fine
        return fine


_ARTICLES: Final = {
    "collection": "a list",
    "bool": "a value that is true or false",
    INSTANT: "the time of a fact: it takes before, after, within_next, within_last and exists",
}


def _resolve_accounts(operand: Any) -> Any:
    if isinstance(operand, list):
        return [_resolve_accounts(one) for one in operand]
    return resolve_subject(operand) if isinstance(operand, str) else operand


def check_account(account: str, path: Path, problems: Problems) -> bool:
    """Whether a text is spelled as events name the account: by its registrable domain."""
    try:
        resolved = registrable_domain(account)
    except RefusedEvent as error:
        problems.error("wrong-value", f"{account!r} is not an account: {error.message}", path)
        return False
    if resolved != account:
        problems.error(
            "wrong-value",
            f"the account {resolved!r} is not written as its domain: {account!r}",
            path,
            f"write {resolved}",
        )
        return False
    return True


def read_lists(raw: Any, problems: Problems) -> dict[str, list[Any]]:
    """Return the file's named lists; those with errors are left out."""
    lists: dict[str, list[Any]] = {}
    for name, entry in raw.items() if isinstance(raw, dict) else ():
        wrong = _list_error(entry)
        if wrong:
            problems.error("wrong-operand", f"the list {name!r}: {wrong}", ("lists", name))
        lists[name] = [] if wrong else entry
    return lists


def _is_finite(value: Any) -> bool:
    return type_of(value) == "number" and math.isfinite(value)


def _operand_error(name: str, operand: Any) -> str | None:  # noqa: PLR0911  # one line an operator
    if name == "exists":
        return None if isinstance(operand, bool) else "expected true or false"
    if name in ("eq", "ne"):
        return (
            None
            if type_of(operand) in ("text", "number", "bool")
            else "expected one text, number, true or false"
        )
    if name == "between":
        if not isinstance(operand, list) or len(operand) != 2 or not all(_is_finite(one) for one in operand):
            return "expected two numbers like [50, 100]"
        return None if operand[0] <= operand[1] else "the first number is greater than the second"
    if name in ORDERINGS:
        return None if _is_finite(operand) else "expected a number"
    if name in ("before", "after"):
        fine = isinstance(operand, str) and read_moment(operand) is not None
        return None if fine else "expected a date like 2026-02-20, or a time like 2026-02-20T09:00:00Z"
    if name in IN_TIME:
        return _duration_error(operand)
    if name in ON_FILES:
        return None if isinstance(operand, str) and operand else "expected a file path"
    if name in ("contains", "matches"):
        if not isinstance(operand, str):
            return "expected text"
        return _regex_error(operand) if name == "matches" else None
    wrong = _list_error(operand)
    if wrong is None and name == "contains_any" and not all(isinstance(one, str) for one in operand):
        return "expected a list of texts"
    return wrong


def _list_error(operand: Any) -> str | None:
    if not isinstance(operand, list):
        return "expected a list"
    if not operand:
        return "an empty list matches nothing"
    if len(operand) > MAX_LIST:
        return f"more than {MAX_LIST} values"
    if not all(type_of(one) in ("text", "number", "bool") for one in operand):
        return "expected a list of texts, numbers, true or false"
    return None


def _duration_error(operand: Any) -> str | None:
    try:
        length = parse_duration(operand)
    except ValueError as error:
        return str(error)
    if length == 0:
        return "a duration of zero"
    return f"{operand} is more than {format_duration(MAX_DURATION)}" if length > MAX_DURATION else None


def _regex_error(pattern: str) -> str | None:
    if len(pattern) > MAX_PATTERN:
        return f"the regular expression has more than {MAX_PATTERN} characters"
    try:
        compile_regex(pattern)
    except re2.error as error:
        cause = error.args[0] if error.args else error
        text = cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
        return f"not a valid RE2 regular expression: {text}"
    return None


def _can_match(name: str, operand: Any, kind: str) -> bool:
    if kind in ("any", "other") or name in ("exists", KNOWN_WITHIN):
        return True
    if name in ON_DATES:
        return kind in ("text", INSTANT)
    if name in EQUALITIES:
        values = operand if isinstance(operand, list) else [operand]
        return any(type_of(one) == kind for one in values)
    if name in ORDERINGS:
        return kind == "number"
    if name in ON_TEXT or name in ON_FILES:
        return kind == "text"
    return name in ON_COLLECTIONS and kind == "collection"
