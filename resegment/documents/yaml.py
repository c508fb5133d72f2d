"""YAML with places: plain data, and where each value stands. Bounded in size, depth, nodes and time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Path, Place
from resegment.documents.yaml_errors import explain_yaml_error

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 48
MAX_NODES: Final = 100_000

_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Document:
    """A file's plain data and the places of every value and of every key, by path.

    `errors` are names given twice, of which one counts: they keep nobody from reading the rest.
    """

    data: Any
    places: dict[Path, Place]
    keys: dict[Path, Place]
    errors: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class _Node:
    place: Place
    value: Any = None
    children: list[tuple[str | int, _Node]] = field(default_factory=list)
    keys: dict[str, Place] = field(default_factory=dict)
    collection: type[dict[Any, Any] | list[Any]] | None = None
    height: int = 0
    """How many collections are nested in it, itself included; aliases count with what they stand for."""


def parse_document(text: str | bytes, file: str) -> Document:
    """Parse one YAML file (core schema of YAML 1.2: `no` and `NO` are strings, dates too).

    Raises InvalidSegments: broken or badly encoded YAML, a tag, or more than the limits allow.
    """
    if len(text) > MAX_BYTES:
        raise _invalid("too-large", f"the file has more than {MAX_BYTES} bytes", Place(file, 1, 1))
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise _invalid("wrong-encoding", f"not UTF-8: {error.reason}", Place(file, line, 1)) from None
    twice: list[Diagnostic] = []
    try:
        root = _compose(text, file, twice)
    except yaml.MarkedYAMLError as error:
        raise InvalidSegments([*twice, explain_yaml_error(error, text, file)]) from None
    except yaml.YAMLError as error:
        raise _invalid("not-yaml", str(error).splitlines()[0], Place(file, 1, 1)) from None
    except InvalidSegments as error:
        raise InvalidSegments([*twice, *error.diagnostics]) from None
    document = Document(None, {}, {}, tuple(twice))
    return replace(document, data=_build(root, (), document))


def _place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)


def _compose(text: str, file: str, twice: list[Diagnostic]) -> _Node:  # noqa: C901, PLR0915  # one loop over the kinds of YAML events
    anchors: dict[str, _Node] = {}
    sizes: dict[int, int] = {}
    stack: list[tuple[_Node, str | None, bool]] = []
    root: _Node | None = None
    nodes = 0

    def attach(node: _Node, size: int) -> None:
        nonlocal root
        if not stack:
            root = node
            return
        parent, key, waiting = stack[-1]
        parent.height = max(parent.height, node.height + 1)
        sizes[id(parent)] = sizes.get(id(parent), 1) + size
        if parent.collection is list:
            parent.children.append((len(parent.children), node))
        elif not waiting:
            name = node.value
            if node.collection is not None or not isinstance(name, str | int | float | bool):
                raise _invalid("wrong-key", "a key must be a plain word", node.place)
            name = name if isinstance(name, str) else str(name).lower()
            if name in parent.keys:
                path = (*(len(one.children) if word is None else word for one, word, _ in stack[:-1]), name)
                twice.append(_error("duplicate-key", f"{name!r} is given twice here", node.place, path))
            parent.keys[name] = node.place
            stack[-1] = (parent, name, True)
        else:
            assert key is not None
            parent.children.append((key, node))
            stack[-1] = (parent, None, False)

    def follow(event: yaml.AliasEvent, place: Place) -> _Node:
        target = anchors.get(event.anchor or "")
        if target is None or any(target is open_node for open_node, _, _ in stack):
            raise _invalid(
                "wrong-alias", f"*{event.anchor} does not refer to a complete value above it", place
            )
        if len(stack) + target.height > MAX_DEPTH:
            raise _invalid("too-deep", f"with *{event.anchor}, nested deeper than {MAX_DEPTH} levels", place)
        return target

    for event in yaml.parse(
        text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
    ):
        place = _place(file, event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise _invalid("two-documents", "a segments file is one YAML document", place)
        if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            continue
        nodes += 1
        if nodes > MAX_NODES:
            raise _invalid("too-large", f"more than {MAX_NODES} values", place)
        if isinstance(event, yaml.AliasEvent):
            target = follow(event, place)
            nodes += sizes.get(id(target), 1)
            if nodes > MAX_NODES:
                raise _invalid("too-large", f"aliases expand to more than {MAX_NODES} values", place)
            attach(target, sizes.get(id(target), 1))
        elif isinstance(event, yaml.ScalarEvent):
            node = _Node(place, _scalar(event, place))
            if event.anchor:
                anchors[event.anchor] = node
            attach(node, 1)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if event.tag not in (None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
                raise _invalid("wrong-tag", f"the tag {event.tag} is not allowed", place)
            if len(stack) >= MAX_DEPTH:
                raise _invalid("too-deep", f"nested deeper than {MAX_DEPTH} levels", place)
            kind: Any = list if isinstance(event, yaml.SequenceStartEvent) else dict
            node = _Node(place, collection=kind, height=1)
            if event.anchor:
                anchors[event.anchor] = node
            stack.append((node, None, False))
        else:
            node, _, _ = stack.pop()
            attach(node, sizes.get(id(node), 1))
    return root or _Node(Place(file, 1, 1))


def _scalar(event: yaml.ScalarEvent, place: Place) -> Any:
    if event.tag == "tag:yaml.org,2002:str" or not event.implicit[0]:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise _invalid("wrong-tag", f"the tag {event.tag} is not allowed", place)
        return event.value
    text = event.value
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9]{19,}", text):
        raise _invalid("wrong-number", f"{text[:30]} is too large a number", place)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise _invalid("wrong-number", f"{text} is too large a number", place)
        return number
    return text


def _build(node: _Node, path: Path, document: Document) -> Any:
    document.places[path] = node.place
    if node.collection is None:
        return node.value
    if node.collection is list:
        return [_build(child, (*path, key), document) for key, child in node.children]
    document.keys.update(((*path, key), place) for key, place in node.keys.items())
    return {key: _build(child, (*path, key), document) for key, child in node.children}


def merge_documents(documents: Sequence[Document]) -> Document:
    """One document of several files: lists are joined, maps united; a name twice is one of its errors."""
    if len(documents) == 1:
        return documents[0]
    data: dict[str, Any] = {}
    places: dict[Path, Place] = {}
    keys: dict[Path, Place] = {}
    clashes: list[Diagnostic] = []
    for document in documents:
        places.setdefault((), document.places[()])
        if not isinstance(document.data, dict):
            clashes += document.errors
            clashes.append(_error("wrong-type", "a segments file is a map", document.places[()]))
            continue
        for key, value in document.data.items():
            shift = _merge(data, key, value)
            move = (shift or _Shift()).move
            clashes += [replace(one, path=move(one.path)) for one in document.errors if one.path[0] == key]
            if shift is None:
                if data[key] != value or key != "version":
                    clashes.append(
                        _error(
                            "duplicate-key", f"{key!r} is given in two files", document.keys[(key,)], (key,)
                        )
                    )
                continue
            for name in shift.clashes:
                place = document.keys[(key, name)]
                clashes.append(
                    _error("duplicate-name", f"{name!r} is given in two files", place, (key, name))
                )
            for path, place in document.places.items():
                if path and path[0] == key:
                    places.setdefault(move(path), place)
            for path, place in document.keys.items():
                if path[0] == key:
                    keys.setdefault(move(path), place)
    return Document(data, places, keys, tuple(clashes))


@dataclass(frozen=True, slots=True)
class _Shift:
    by: Any = 0
    clashes: tuple[str, ...] = ()

    def move(self, path: Path) -> Path:
        """Where the value of that path stands in the whole."""
        return (path[0], path[1] + self.by, *path[2:]) if self.by and len(path) > 1 else path


def _merge(data: dict[str, Any], key: str, value: Any) -> _Shift | None:
    if key not in data:
        data[key] = value
        return _Shift()
    held = data[key]
    if isinstance(held, list) and isinstance(value, list):
        data[key] = held + value
        return _Shift(len(held))
    if isinstance(held, dict) and isinstance(value, dict) and key != "fallback":
        clashes = tuple(name for name in value if name in held)
        data[key] = {**value, **held}
        return _Shift(0, clashes)
    return None


def _error(code: str, message: str, place: Place, path: Path = ()) -> Diagnostic:
    return Diagnostic("error", code, message, path, place)


def _invalid(code: str, message: str, place: Place) -> InvalidSegments:
    return InvalidSegments([_error(code, message, place)])
