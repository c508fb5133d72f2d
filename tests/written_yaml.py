"""Writes data as YAML in the many ways that people do: flow and block, quotes, anchors, comments, odd spaces and breaks."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

from resegment.documents.diagnostics import InvalidSegments
from resegment.documents.yaml import parse_document

REMARKS = (
    "# why?",
    "#no space",
    "#",
    "# - commented: {out: [1, 2]}",
    "# naïve: café 営業 ☕",
    "#!",
    "# a 'quote' and a \"quote\"",
    "# see: https://example.com/#anchor",
)
PLAIN = re.compile(r"[\w€/.+%$-]([\w €/.,+%$'()!?-]*[\w€/.+%$()!?-])?")


def reads_as(text: str, value: Any) -> bool:
    """Whether the text after a key gives the value."""
    try:
        return bool(repr(parse_document(f"a: {text}", "x").data) == repr({"a": value}))
    except InvalidSegments:
        return False


@dataclass
class Writer:
    """Writes one file; the seed decides how."""

    seed: int
    random: random.Random = field(init=False)
    anchors: dict[str, str] = field(init=False, default_factory=dict)
    names: int = 0
    in_block_text: bool = False
    step: int = field(init=False)
    list_step: int = field(init=False)
    remarks: float = field(init=False)
    flow: float = field(init=False)
    quotes: float = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.step = self.random.choice((1, 2, 2, 3, 4, 8))
        self.list_step = self.random.choice((0, self.step))
        self.remarks = self.random.choice((0.0, 0.05, 0.3, 0.7))
        self.flow = self.random.choice((0.0, 0.2, 0.5, 0.9))
        self.quotes = self.random.choice((0.0, 0.2, 0.8))

    def write(self, data: dict[str, Any]) -> bytes:
        body = "\n".join(self._map(data, 0))
        body += "\n" if self.in_block_text else "\n" * self.random.choice((0, 1, 1, 3))
        if self._chance(0.2):
            body = f"---{self._beside()}\n{body}"
            if self._chance(0.3):
                body = f"%YAML 1.2\n{body}"
        if self._chance(0.1) and body.endswith("\n"):
            body += "...\n"
        if self._chance(0.2):
            body = body.replace("\n", "\r\n")
        content = body.encode()
        return b"\xef\xbb\xbf" + content if self._chance(0.15) else content

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _remark(self) -> str:
        return self.random.choice(REMARKS) + " " * self.random.choice((0, 0, 2))

    def _beside(self) -> str:
        return f"{' ' * self.random.choice((1, 2, 20))}{self._remark()}" if self._chance(self.remarks) else ""

    def _above(self, indent: int) -> list[str]:
        if self.in_block_text:
            # What is deeper than the key would be a part of the text, and so may be a blank line.
            self.in_block_text = False
            return [self._remark()] if self._chance(self.remarks) else []
        lines = [""] * self.random.choice((0, 0, 0, 1, 3))
        while self._chance(self.remarks):
            lines.append(" " * self.random.choice((indent, indent, 0, indent + 3)) + self._remark())
            lines += [""] * self.random.choice((0, 0, 1))
        return lines

    def _map(self, data: dict[str, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for key, value in data.items():
            lines += self._above(indent)
            explicit = self._chance(0.03)
            head = f"? {self._word(key)}\n{' ' * indent}:" if explicit else f"{self._word(key)}{self._gap()}:"
            lines += self._under(head, value, indent, self.list_step)
        return lines

    def _list(self, data: list[Any], indent: int) -> list[str]:
        lines: list[str] = []
        for value in data:
            lines += self._above(indent)
            if isinstance(value, dict | list) and value and not self._chance(self.flow) and self._chance(0.8):
                wide = self.random.choice((1, 1, 3))
                inner = (self._map if isinstance(value, dict) else self._list)(value, indent + 1 + wide)
                while inner and not inner[0].strip():
                    inner.pop(0)
                if inner[0].lstrip().startswith("#"):
                    lines += [f"{' ' * indent}-", *inner]
                else:
                    lines += [f"{' ' * indent}-{' ' * wide}{inner[0].lstrip()}", *inner[1:]]
            else:
                lines += self._under("-", value, indent, self.step)
        return lines

    def _under(self, head: str, value: Any, indent: int, list_step: int) -> list[str]:
        start = " " * indent + head
        known = json.dumps(value) if isinstance(value, dict | list | str) and value else None
        if known in self.anchors and self._chance(0.5):
            return [f"{start} *{self.anchors[known]}{self._beside()}"]
        if known is not None and self._chance(0.08):
            self.names += 1
            name = f"a{self.names}"
            start += f" &{name}"
        else:
            name = ""
        lines = self._value(start, value, indent, list_step)
        if name and known is not None:
            self.anchors[known] = name
        return lines

    def _value(self, start: str, value: Any, indent: int, list_step: int) -> list[str]:
        if isinstance(value, dict | list) and value and not self._chance(self.flow):
            inner = indent + (list_step if isinstance(value, list) else self.step)
            body = (self._list if isinstance(value, list) else self._map)(value, inner)
            return [start + self._beside(), *body]
        if isinstance(value, dict | list):
            text = self._flow(value, indent + 2)
        elif isinstance(value, str) and self._can_be_block(value) and self._chance(0.3):
            return self._block_text(start, value, indent)
        elif isinstance(value, str) and value.count(" ") > 3 and PLAIN.fullmatch(value) and self._chance(0.3):
            broken = value.replace(" ", "\n" + " " * (indent + self.random.choice((1, 2, 5))), 1)
            text = broken if reads_as(broken, value) else self._scalar(value)
        else:
            text = self._scalar(value)
        if self._chance(self.remarks / 5):
            return [f"{start} {self._remark()}", f"{' ' * (indent + 3)}{text}{self._beside()}"]
        return [f"{start}{' ' * self.random.choice((1, 1, 1, 4))}{text}{self._beside()}"]

    def _can_be_block(self, value: str) -> bool:
        return (bool(value.strip()) and value.isprintable()) or ("\n" in value and "\r" not in value)

    def _block_text(self, start: str, value: str, indent: int) -> list[str]:
        self.in_block_text = True
        body = value.rstrip("\n")
        chomp = {0: "-", 1: ""}.get(len(value) - len(body), "+")
        inner = indent + self.random.choice((1, 2, 4))
        digit = str(inner - indent) if body.startswith((" ", "\n")) or self._chance(0.2) else ""
        blanks = [""] * (len(value) - len(body) - 1)
        lines = [" " * inner + line if line else "" for line in body.split("\n")]
        return [f"{start} |{digit}{chomp}{self._beside()}", *lines, *blanks]

    def _gap(self) -> str:
        return " " if self._chance(0.05) else ""

    def _word(self, key: str) -> str:
        return self._scalar(key) if self._chance(self.quotes / 2) else self._scalar(key, 0.0)

    def _flow(self, value: Any, indent: int) -> str:
        """Write a collection in flow style, at times over several lines, with comments between them."""
        if not isinstance(value, dict | list):
            return self._scalar(value, flow=True)
        parts = (
            [f"{self._scalar(key, flow=True)}: {self._flow(one, indent + 2)}" for key, one in value.items()]
            if isinstance(value, dict)
            else [self._flow(one, indent + 2) for one in value]
        )
        left, right = ("{", "}") if isinstance(value, dict) else ("[", "]")
        space = self.random.choice(("", "", " "))
        if not parts or self._chance(0.7):
            comma = self.random.choice((", ", ",  ", " , "))
            return f"{left}{space}{comma.join(parts)}{space}{right}"
        lines = [f"{' ' * indent}{part},{self._beside()}" for part in parts]
        return "\n".join([f"{left}{self._beside()}", *lines, f"{' ' * indent}{right}"])

    def _scalar(self, value: Any, quotes: float | None = None, *, flow: bool = False) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        plain = PLAIN.fullmatch(value) is not None and not (flow and "," in value)
        if plain and reads_as(value, value):
            if not self._chance(self.quotes if quotes is None else quotes):
                return value
        if value.isprintable() and self._chance(0.6):
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=self._chance(0.3) or not value.isprintable())
