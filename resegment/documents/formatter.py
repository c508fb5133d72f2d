"""Write YAML in one style, with its comments, without changing what it says."""

from __future__ import annotations

import re
from typing import Final

import yaml

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Place
from resegment.documents.syntax_tree import Comment, SyntaxNode, SyntaxTree
from resegment.documents.yaml import parse_document
from resegment.documents.yaml_errors import explain_yaml_error
from resegment.documents.yaml_scalars import is_plain_key, scalar_lines

WIDTH: Final = 120
"""A collection in flow style that ends beyond this column is written in block style."""
STEP: Final = 2
"""Columns for each level of nesting."""
_BETWEEN: Final = re.compile(r"[ \t,\]}]*")


def format_document(content: bytes, file: str) -> bytes:
    """Return a YAML file in the one style. Raises InvalidSegments: the file has errors.

    The result has the same data and the same comments; line breaks are those of the file's first line.
    """
    before = parse_document(content, file)
    if before.errors:
        raise InvalidSegments(before.errors)
    text = content.decode("utf-8-sig")
    breaks = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    try:
        tree = SyntaxTree(text.replace("\r\n", "\n").replace("\r", "\n"))
    except yaml.MarkedYAMLError as error:
        raise InvalidSegments([explain_yaml_error(error, text, file)]) from None
    written = Printer(tree).write()
    result = written.replace("\n", breaks).encode()
    if not _says_the_same(tree, before.data, written, result, file):
        message = "the file cannot be formatted without changing what it says"
        raise InvalidSegments(
            [Diagnostic("error", "not-formatted", message, (), Place(file, 1, 1), "Please report this file.")]
        )
    return result


def _says_the_same(tree: SyntaxTree, data: object, written: str, result: bytes, file: str) -> bool:
    try:
        after = parse_document(result, file)
        comments = [one.text for one in SyntaxTree(written).comments]
    except (InvalidSegments, yaml.YAMLError):
        return False
    # The text of the data tells 1 from 1.0 and true, and keeps the order of keys.
    return repr(after.data) == repr(data) and comments == [one.text for one in tree.comments]


class Printer:
    """Prints one syntax tree; comments are printed where the walk over the nodes passes them."""

    def __init__(self, tree: SyntaxTree) -> None:
        self._tree = tree
        self._comments = list(reversed(tree.comments))
        self._lines: list[str] = []
        self._current: str | None = None
        self._source_line = 0
        self._opened = True

    def write(self) -> str:
        """Return the text of the whole document."""
        for start, text in self._tree.directives:
            self._begin(start, 0)
            self._current = text
            self._source_line = self._tree.line_of(start)
        if self._tree.directives:
            self._finish_line()
            self._lines.append("---")
            self._opened = True
        root = self._tree.root
        if root is not None and not (root.empty and not root.properties):
            if self._is_block(root, 0) and not root.properties:
                self._block(root, 0, -1, inline=False)
            else:
                self._begin(root.start, 0)
                self._current = ""
                self._value(root, -STEP, -1)
        self._own_lines(self._take(len(self._tree.text) + 1), 0)
        self._finish_line()
        return "".join(f"{line}\n" for line in self._lines)

    # Collections

    def _is_block(self, node: SyntaxNode, column: int) -> bool:
        """Whether a collection is written in block style, with its first line at the column."""
        if node.kind not in ("map", "list") or not node.children:
            return False
        line = self._one_line(node) if node.flow else None
        return line is None or column + len(line) > WIDTH

    def _block(self, node: SyntaxNode, indent: int, outer: int, *, inline: bool) -> None:
        """Print the entries of a collection; `outer` is the source column of the collection around it."""
        column = outer if node.flow else self._tree.column_of(self._first(node))
        if node.kind == "map":
            for key, value in node.pairs:
                self._begin(key.start, indent, inline=inline)
                inline = False
                self._write(f"{self._key(key)}:")
                self._source_line = self._tree.line_of(key.end)
                self._value(value, indent, column)
        else:
            for item in node.children:
                self._begin(self._entry(node, item), indent, inline=inline)
                inline = False
                self._write("-")
                self._value(item, indent, column)
        if node.flow:
            tail = self._take(node.end)
        else:
            tail = []
            while self._comments and self._comments[-1].start < node.end:
                if self._tree.column_of(self._comments[-1].start) <= outer:
                    break
                tail.append(self._comments.pop())
        self._own_lines(tail, indent)

    def _first(self, node: SyntaxNode) -> int:
        """Return where the first entry of a collection starts."""
        return self._entry(node, node.children[0])

    def _entry(self, node: SyntaxNode, child: SyntaxNode) -> int:
        return child.start if node.flow else self._tree.entry_of(child, item=node.kind == "list")

    def _key(self, key: SyntaxNode) -> str:
        return f"*{key.value} " if key.kind == "alias" else self._scalar_on_one_line(key)

    def _scalar_on_one_line(self, node: SyntaxNode) -> str:
        if not node.properties and node.style in ("'", '"') and is_plain_key(node.value):
            return node.value
        lines = scalar_lines(node, self._tree.text, key=True)
        return " ".join([*node.properties, *lines])

    # Values

    def _value(self, node: SyntaxNode, indent: int, column: int) -> None:
        """Print the value of a key or an item after what the line has; its own lines are deeper than `indent`."""
        room = len(self._current or "") + 1
        if self._is_block(node, room + sum(len(one) + 1 for one in node.properties)):
            for one in node.properties:
                self._write(f" {one}")
            above = self._take(self._first(node))
            dash = (self._current or "").endswith("-") and not node.properties and not above
            self._opened = not dash
            self._after_line(above, indent + STEP)
            if dash:
                self._write(" ")
            self._block(node, indent + STEP, column, inline=dash)
            return
        # Where nothing is written for a value, what stands before the next thing is not about it.
        above = [] if node.empty and not node.properties else self._take(node.content)
        if above:
            self._after_line(above, indent + STEP)
            self._finish_line()
            self._current = " " * (indent + STEP - 1)
        text = [*node.properties]
        rest: list[str] = []
        if node.kind == "scalar" and not node.empty:
            first, *rest = scalar_lines(node, self._tree.text, column=column)
            text.append(first)
        elif node.kind == "alias":
            text.append(f"*{node.value}")
        elif node.kind != "scalar":
            text.append(self._one_line(node, properties=False) or "")
        space = "" if not text or self._current == "" else " "
        self._write(space + " ".join(text))
        self._close(node, rest, indent)

    def _close(self, node: SyntaxNode, rest: list[str], indent: int) -> None:
        """Print the comment beside a value, and the further lines of a scalar."""
        block = node.style in ("|", ">")
        if not block:
            self._write_lines(rest, indent)
        header = node.content + 1 if block else node.end
        following = self._comments[-1] if self._comments else None
        if (
            following is not None
            and not following.begins_line
            and following.start >= node.content
            and (block or self._is_beside(header, following))
            and self._tree.line_of(following.start) == self._tree.line_of(header)
        ):
            self._comments.pop()
            self._write(f"  {following.text}")
        if block:
            self._write_lines(rest, indent)
            # Spaces at the end of a block scalar may be a part of it.
            self._lines.append(self._current or "")
            self._current = None
        end = node.end
        if block and end > node.content:
            body = self._tree.text[node.content : end]
            end -= 1 if "+" in body.partition("\n")[0][:3] else len(body) - len(body.rstrip())
        if not node.empty:
            self._source_line = max(self._source_line, self._tree.line_of(end))
        self._opened = False

    def _write_lines(self, lines: list[str], indent: int) -> None:
        for line in lines:
            self._lines.append(self._current or "")
            self._current = " " * (indent + STEP) + line if line else ""

    def _is_beside(self, end: int, comment: Comment) -> bool:
        """Whether nothing but brackets and commas stands between a value's end and a comment."""
        return comment.start >= end and bool(_BETWEEN.fullmatch(self._tree.text, end, comment.start))

    def _one_line(self, node: SyntaxNode, *, properties: bool = True) -> str | None:
        """Return the text of a node in flow style on one line; None if it has comments or lines of its own."""
        words = [*node.properties] if properties else []
        if node.kind == "alias":
            return f"*{node.value}"
        if node.kind == "scalar":
            lines = [] if node.empty else scalar_lines(node, self._tree.text)
            return None if len(lines) > 1 else " ".join([*words, *lines])
        if node.children and self._tree.comments_within(node):
            return None
        parts = [self._pair(*pair) for pair in node.pairs] if node.kind == "map" else self._items(node)
        if any(part is None for part in parts):
            return None
        inner = ", ".join(part for part in parts if part is not None)
        return " ".join([*words, f"{{{inner}}}" if node.kind == "map" else f"[{inner}]"])

    def _items(self, node: SyntaxNode) -> list[str | None]:
        return [self._one_line(item) for item in node.children]

    def _pair(self, key: SyntaxNode, value: SyntaxNode) -> str | None:
        if value.empty and not value.properties:
            return self._key(key).rstrip()
        text = self._one_line(value)
        return None if text is None else f"{self._key(key)}: {text}"

    # Lines and comments

    def _write(self, text: str) -> None:
        self._current = (self._current or "") + text

    def _finish_line(self) -> None:
        if self._current is not None:
            self._lines.append(self._current.rstrip(" "))
            self._current = None

    def _begin(self, start: int, indent: int, *, inline: bool = False) -> None:
        """Start the line of an entry, below the comments that stand before it, unless it continues the line."""
        above = self._take(start)
        if inline and not above:
            return
        self._own_lines(above, indent)
        self._finish_line()
        self._keep_blank_line(start)
        self._current = " " * indent

    def _take(self, before: int) -> list[Comment]:
        """Return the comments before a position that are not printed yet."""
        taken = []
        while self._comments and self._comments[-1].start < before:
            taken.append(self._comments.pop())
        return taken

    def _after_line(self, comments: list[Comment], indent: int) -> None:
        """Print comments after a key or a dash: the first beside it if it stood beside something, the others below."""
        if comments and not comments[0].begins_line:
            self._write(f"  {comments[0].text}")
            self._source_line = self._tree.line_of(comments[0].start)
            comments = comments[1:]
        self._own_lines(comments, indent)

    def _own_lines(self, comments: list[Comment], indent: int) -> None:
        for one in comments:
            self._finish_line()
            self._keep_blank_line(one.start)
            self._lines.append(" " * indent + one.text)
            self._source_line = self._tree.line_of(one.start)
            self._opened = False

    def _keep_blank_line(self, start: int) -> None:
        """Keep one of the blank lines before a position; none at the start of the file or of a collection."""
        line = self._tree.line_of(start)
        if line - self._source_line > 1 and not self._opened and self._lines:
            self._lines.append("")
        self._source_line = max(self._source_line, line)
        self._opened = False
