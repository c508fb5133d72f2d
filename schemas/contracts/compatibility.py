"""What may change within a version of a contract: the rule of docs/contracts/compatibility.md, for JSON Schemas.

One of the two schemas must accept everything that the other allows. For incoming messages, the new schema accepts
what the old one allowed, so senders keep working. For outgoing messages, the old schema accepts what the new one
allows, so readers keep working.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

Schema = Mapping[str, Any]
Direction = Literal["in", "out"]

_NOTES: Final = {
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "x-open",
    "x-personal",
}
_UNIONS: Final = {"anyOf", "oneOf"}
_LEAST: Final = {"minLength", "minItems", "minimum", "exclusiveMinimum"}
_MOST: Final = {"maxLength", "maxItems", "maximum", "exclusiveMaximum"}
_WORDS: Final = {"const", "enum"}
_PARTS: Final = {"type", "properties", "required", "items", "additionalProperties"}
_ANYTHING: Final = "anything"


def breaking_changes(old: Schema, new: Schema, *, direction: Direction = "in") -> tuple[str, ...]:
    """Return what in `new` breaks programs that rely on `old`, each as `path: what`; empty if nothing does.

    `direction` is `in` for messages that Resegment reads, `out` for messages that it writes. Keywords that can't
    be judged must stay the same.
    """
    return tuple(dict.fromkeys(_Comparison(old, new, outward=direction == "out").compare("", old, new)))


class _Comparison:
    def __init__(self, old: Schema, new: Schema, *, outward: bool) -> None:
        self._roots = old, new
        self._outward = outward
        self._known: dict[tuple[Any, Any], list[str]] = {}

    def compare(self, path: str, old: Any, new: Any) -> list[str]:
        """Compare two schemas. The same pair of references is compared once."""
        pair = _reference(old), _reference(new)
        if pair == (None, None):
            return list(self._compare_unions(path, old, new))
        if pair not in self._known:
            self._known[pair] = []  # a schema that refers to itself breaks nothing by that
            self._known[pair] = list(self._compare_unions(path, old, new))
        return self._known[pair]

    def _compare_unions(self, path: str, old: Any, new: Any) -> Iterator[str]:
        before, after = list(_alternatives(old, self._roots[0])), list(_alternatives(new, self._roots[1]))
        allowed, takers = (after, before) if self._outward else (before, after)
        for one in allowed:
            breaks: list[str] | None = None
            for taker in takers:
                if _type(taker) in (None, _type(one)) or (_type(one), _type(taker)) == ("integer", "number"):
                    pair = (taker, one) if self._outward else (one, taker)
                    found = list(self._compare_plain(path, *pair))
                    breaks = found if breaks is None else min(breaks, found, key=len)
                    if not breaks:
                        break
            if breaks is None:
                name = _type(one) or _ANYTHING
                breaks = [
                    f"{path or '.'}: {f'may be {name} now' if self._outward else f'{name} is no longer taken'}"
                ]
            yield from breaks

    def _compare_plain(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        where = path or "."
        yield from self._compare_words(where, old, new)
        yield from self._compare_limits(where, old, new)
        yield from self._compare_fields(path, old, new)
        if "items" in old or "items" in new:
            yield from self.compare(f"{path}[]", old.get("items", True), new.get("items", True))
        if "additionalProperties" in old or "additionalProperties" in new:
            others = old.get("additionalProperties", True), new.get("additionalProperties", True)
            yield from self.compare(f"{path}.*", *others)
        judged = _NOTES | _LEAST | _MOST | _WORDS | _PARTS
        for keyword in sorted((old.keys() | new.keys()) - judged):
            if old.get(keyword) != new.get(keyword):
                yield f"{where}: {keyword} is another"

    def _compare_words(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = _words(old), _words(new)
        if self._outward:
            gained = (
                []
                if before is None or old.get("x-open")
                else [one for one in after or () if one not in before]
            )
            if gained or (before is not None and after is None):
                yield f"{where}: may be {_list(gained) or 'any word'} now"
        elif after is not None:
            lost = [one for one in before or () if one not in after]
            if lost or before is None:
                yield f"{where}: {f'{_list(lost)} is no longer taken' if lost else f'takes only {_list(after)} now'}"

    def _compare_limits(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        allowed, taker = (new, old) if self._outward else (old, new)
        for keyword in sorted(taker.keys() & (_LEAST | _MOST)):
            limit, was = taker[keyword], allowed.get(keyword)
            if was is None or (was < limit if keyword in _LEAST else was > limit):
                yield f"{where}: {keyword} was {old.get(keyword)} and is {new.get(keyword)}"

    def _compare_fields(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        fields = new.get("properties", {})
        for name, field in old.get("properties", {}).items():
            if name in fields:
                yield from self.compare(f"{path}.{name}", field, fields[name])
            else:
                yield f"{path}.{name}: is gone"
        had, has = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(had - has if self._outward else has - had):
            yield f"{path}.{name}: {'may be missing now' if self._outward else 'is required now'}"


def _alternatives(schema: Any, root: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema, with references and lists of types resolved; none for `False`."""
    if isinstance(schema, bool):
        yield from [{}] if schema else []
        return
    reference = _reference(schema)
    if reference is not None:
        target: Any = root
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        yield from _alternatives(target, root)
    elif (union := schema.keys() & _UNIONS) and not schema.keys() - _NOTES - _UNIONS:
        for keyword in union:
            for one in schema[keyword]:
                yield from _alternatives(one, root)
    elif isinstance(schema.get("type"), list):
        yield from ({**schema, "type": one} for one in schema["type"])
    else:
        yield schema


def _type(schema: Schema) -> str | None:
    named: str | None = schema.get("type")
    return named


def _words(schema: Schema) -> list[Any] | None:
    words: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return words


def _list(words: list[Any]) -> str:
    return ", ".join(str(one) for one in words)


def _reference(schema: Any) -> str | None:
    return schema.get("$ref") if isinstance(schema, Mapping) else None
