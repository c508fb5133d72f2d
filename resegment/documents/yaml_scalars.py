"""The lines that a scalar is written in, in the one style of segments files."""

from __future__ import annotations

import json
import re
from typing import Final

from resegment.documents.syntax_tree import SyntaxNode

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that some readers of YAML take for something else than text."""
_HEADER: Final = re.compile(r"[|>]([+-]?)([1-9]?)([+-]?)")
_EXPLICIT: Final = 2


def is_plain_key(text: str) -> bool:
    """Return whether a key reads the same without quotes, whatever reads it."""
    return _PLAIN_KEY.fullmatch(text) is not None and text.lower() not in _WORDS


def scalar_lines(node: SyntaxNode, text: str, *, key: bool = False, column: int = 0) -> list[str]:
    """Return the lines of a scalar, those after the first without their indentation.

    `column` is that of the block collection around it in `text`; a key is written on one line.
    """
    raw = text[node.content : node.end]
    if key and "\n" in raw:
        return [json.dumps(node.value, ensure_ascii=not node.value.isprintable())]
    if node.style in ("|", ">"):
        return _block_lines(node, raw, column)
    if raw in ("-", "?"):
        return [f'"{raw}"']  # in block style, it would begin an entry
    if node.style == "'" and "\n" not in raw and _can_be_double(node.value):
        return [f'"{node.value}"']
    first, *rest = raw.split("\n")
    if not rest:
        return [first]
    *middle, last = rest
    return [_trim_end(first), *(_trim_end(one.lstrip(" \t")) for one in middle), last.lstrip(" \t")]


def _can_be_double(value: str) -> bool:
    return '"' not in value and "\\" not in value and value.isprintable()


def _trim_end(line: str) -> str:
    """Remove spaces before a line break, unless a backslash makes them count."""
    trimmed = line.rstrip(" \t")
    return line if trimmed.endswith("\\") else trimmed


def _block_lines(node: SyntaxNode, raw: str, column: int) -> list[str]:
    header, _, body = raw.partition("\n")
    match = _HEADER.match(header)
    assert match is not None
    chomp, digit = match[1] or match[3], match[2]
    lines = body.split("\n")
    indent = max(column, 0) + int(digit) if digit else _detect_indent(lines)
    lines = [line[indent:] for line in lines]
    if not lines[-1]:
        lines.pop()  # what stands after the last line break
    if chomp != "+":
        while lines and not lines[-1]:
            lines.pop()
    if node.value and not node.value.endswith("\n"):
        chomp = "-"
    first = next((line for line in lines if line), "")
    digit = str(_EXPLICIT) if first.startswith((" ", "\t")) else ""
    return [f"{raw[0]}{digit}{chomp}", *lines]


def _detect_indent(lines: list[str]) -> int:
    """Return the indentation of the first line with text, or of the longest if none has any."""
    for line in lines:
        if line.strip(" "):
            return len(line) - len(line.lstrip(" "))
    return max((len(line) for line in lines), default=0)
