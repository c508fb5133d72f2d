"""Says in plain words what is wrong with a file that is not YAML, and where."""

from __future__ import annotations

from typing import Any, Final

import yaml

from resegment.documents.diagnostics import Diagnostic, Place

_QUOTE: Final = "put the text in quotes"
_PLAIN: Final = {
    "mapping values are not allowed in this context": (
        "`: ` is not expected here",
        "check the indentation, or put the text in quotes",
    ),
    "could not find expected ':'": ("a key without a value", "write `key: value`"),
    "did not find expected key": (
        "the indentation does not match the lines above",
        "indent the keys of one map alike",
    ),
    "did not find expected '-' indicator": (
        "the indentation does not match the list above",
        "start each item with `- ` in the same column",
    ),
    "block sequence entries are not allowed in this context": (
        "a list cannot start on this line",
        "start it on a line of its own",
    ),
    "did not find expected node content": ("a value is missing here", None),
    "did not find expected <document start>": (
        "this line does not belong to the map above",
        "write `key: value`",
    ),
}
"""What the parser says, what that means, and what to do."""


def explain_yaml_error(error: yaml.MarkedYAMLError, text: str, file: str) -> Diagnostic:
    """Return what is wrong, at the place where it has to be corrected."""
    problem, context = error.problem or "broken YAML", error.context or ""
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    line = _line(text, mark)
    column = 0 if mark is None else mark.column
    if (
        "tab" in problem
        or line[column : column + 1] == "\t"
        or "\t" in line[: len(line) - len(line.lstrip())]
    ):
        return _tell(file, mark, "a tab: YAML is indented with spaces", "replace the tab with spaces")
    outside = mark is None or _indent(line) <= _indent(_line(text, start))
    if start is not None and "flow" in context and outside and (mark is None or mark.line > start.line):
        opening, closing = ("{", "}") if "mapping" in context else ("[", "]")
        return _tell(file, start, f"no {closing!r} closes this {opening!r}", f"add a {closing!r}")
    if "flow" in context and problem.startswith("did not find expected ','"):
        closing = "}" if "mapping" in context else "]"
        return _tell(file, mark, f"expected ',' or {closing!r} here", None)
    if "quoted scalar" in context and start is not None:
        return _tell(file, start, "no quote closes this one", "add the closing quote")
    if problem == "found character that cannot start any token":
        shown = line[column : column + 1]
        return _tell(file, mark, f"a value cannot start with {shown!r}", _QUOTE)
    message, remedy = _PLAIN.get(problem, (problem, None))
    return _tell(file, mark, message, remedy)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _line(text: str, mark: Any) -> str:
    lines = text.splitlines()
    return lines[mark.line] if mark is not None and mark.line < len(lines) else ""


def _tell(file: str, mark: Any, message: str, remedy: str | None) -> Diagnostic:
    place = Place(file, 1, 1) if mark is None else Place(file, mark.line + 1, mark.column + 1)
    return Diagnostic("error", "not-yaml", message, (), place, remedy)
