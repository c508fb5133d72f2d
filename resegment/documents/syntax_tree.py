"""YAML as it is written: nodes with their source text, and the comments between them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

_COMMENT: Final = re.compile(r"#[^\n\x85\u2028\u2029]*")
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENTRIES: Final = (yaml.BlockEntryToken, yaml.KeyToken)
_COLLECTIONS: Final = (yaml.MappingStartEvent, yaml.SequenceStartEvent)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; `begins_line` if nothing else stands before it on its line."""

    start: int
    text: str
    begins_line: bool


@dataclass(slots=True)
class SyntaxNode:
    """A scalar, an alias or a collection, with the positions where it starts and ends in the text.

    `start` is where its anchor or tag stands, if it has one, `content` where its value begins.
    A mapping has its keys and values in turn as `children`.
    """

    start: int
    content: int
    end: int
    kind: str
    """`scalar`, `alias`, `map` or `list`."""
    properties: tuple[str, ...] = ()
    style: str | None = None
    value: str = ""
    flow: bool = False
    children: list[SyntaxNode] = field(default_factory=list)

    @property
    def pairs(self) -> Iterator[tuple[SyntaxNode, SyntaxNode]]:
        """The keys and values of a mapping."""
        return zip(self.children[::2], self.children[1::2], strict=True)

    @property
    def empty(self) -> bool:
        """Whether nothing is written for it."""
        return self.kind == "scalar" and self.content == self.end


class SyntaxTree:
    """One YAML document as it is written; a text without a byte order mark whose lines end with a line feed."""

    def __init__(self, text: str) -> None:
        """Parse the text. Raises yaml.YAMLError."""
        self.text = text
        tokens: list[Any] = list(yaml.scan(text, Loader=_LOADER))
        self.comments = tuple(_find_comments(text, tokens))
        self._comment_starts = [one.start for one in self.comments]
        self.directives = tuple(
            (token.start_mark.index, text[token.start_mark.index : token.end_mark.index].rstrip())
            for token in tokens
            if isinstance(token, yaml.DirectiveToken)
        )
        self._marks = [int(token.start_mark.index) for token in tokens if isinstance(token, _ENTRIES)]
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.root = _build(text, tokens)

    def line_of(self, index: int) -> int:
        """Return the line of a position, from 0."""
        return bisect_right(self._lines, index) - 1

    def column_of(self, index: int) -> int:
        """Return the column of a position, from 0."""
        return index - self._lines[self.line_of(index)]

    def entry_of(self, child: SyntaxNode, *, item: bool) -> int:
        """Return where an entry of a block collection starts: at the dash of an item, or at a key or its question mark."""
        return self._marks[bisect_right(self._marks, child.start - item) - 1]

    def comments_within(self, node: SyntaxNode) -> bool:
        """Return whether a comment stands inside the node."""
        at = bisect_right(self._comment_starts, node.start)
        return at < len(self._comment_starts) and self._comment_starts[at] < node.end


def _find_comments(text: str, tokens: list[Any]) -> Iterator[Comment]:
    """Yield the comments; they stand between tokens, except those in the header of a block scalar."""
    previous = 0
    for token in tokens:
        start, end = int(token.start_mark.index), int(token.end_mark.index)
        for match in _COMMENT.finditer(text, previous, start):
            line = text.rfind("\n", 0, match.start()) + 1
            begins = not text[line : match.start()].strip()
            yield Comment(match.start(), match[0].rstrip(), begins)
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            header = text[start:end].partition("\n")[0]
            if "#" in header:
                at = header.index("#")
                yield Comment(start + at, header[at:].rstrip(), begins_line=False)
        previous = max(previous, end)


def _build(text: str, tokens: list[Any]) -> SyntaxNode | None:
    by_start = {token.start_mark.index: token for token in tokens if _is_property(token)}
    ends = sorted(by_start)
    stack: list[SyntaxNode] = []
    root: SyntaxNode | None = None
    events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop().end = event.end_mark.index  # type: ignore[union-attr]
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(text, event, by_start, ends)
        if stack:
            stack[-1].children.append(node)
        else:
            root = node
        if isinstance(event, _COLLECTIONS):
            stack.append(node)
    return root


def _is_property(token: Any) -> bool:
    return isinstance(token, yaml.AnchorToken | yaml.TagToken)


def _node(text: str, event: Any, by_start: dict[int, Any], starts: list[int]) -> SyntaxNode:
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, yaml.AliasEvent):
        return SyntaxNode(start, start, end, "alias", value=str(event.anchor))
    content, properties = start, []
    given = (event.anchor is not None) + (event.tag is not None)
    at = bisect_right(starts, start - 1)
    for place in starts[at : at + given]:
        token = by_start[place]
        properties.append(text[place : token.end_mark.index])
        content = token.end_mark.index
    if isinstance(event, yaml.ScalarEvent):
        if properties and end > content:
            content += len(text[content:end]) - len(_skip_gap(text[content:end]))
        return SyntaxNode(
            start, content, max(end, content), "scalar", tuple(properties), event.style, event.value or ""
        )
    kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
    return SyntaxNode(start, content, end, kind, tuple(properties), flow=bool(event.flow_style))


def _skip_gap(text: str) -> str:
    """Return the text from the first thing that is neither space nor a comment."""
    while (stripped := text.lstrip(" \t\n\x85\u2028\u2029")).startswith("#"):
        text = stripped.partition("\n")[2]
    return stripped
