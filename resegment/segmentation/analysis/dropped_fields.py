"""Find tests and traits that read a field which the file never keeps."""

from __future__ import annotations

from collections.abc import Iterator

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.parsing.raw_document import conditions, tests


def check_dropped(definition: Definition, problems: Problems) -> None:
    """Report each reading of a field that `privacy.drop` names."""
    if not definition.dropped:
        return
    for name, path in _fields_read(definition):
        if name in definition.dropped:
            problems.warn(
                "dropped-field",
                f"{name!r} is never known: privacy drops it",
                path,
                "remove the test, or take the field out of privacy.drop",
            )


def _fields_read(definition: Definition) -> Iterator[tuple[str, Path]]:
    data = definition.document.data
    for raw, path in conditions(data):
        for test in tests(raw, path):
            if test.test == "value" and test.name not in definition.traits:
                yield test.name, test.path
            elif test.test == "event":
                yield from _fields_of(test.operand, test.path)
    for name, trait in (data.get("traits") or {}).items():
        path = ("traits", name)
        yield from _fields_of(trait, path)
        yield from ((one, (*path, "ratio", index)) for index, one in enumerate(trait.get("ratio", ())))
        if isinstance(attribute := trait.get("growth"), str):
            yield attribute, (*path, "growth")


def _fields_of(raw: object, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the fields that a test of events or a trait reads from the events."""
    if not isinstance(raw, dict):
        return
    for name in raw.get("where") or ():
        yield name, (*path, "where", name)
    for key in ("field", "by"):
        if isinstance(name := raw.get(key), str):
            yield name, (*path, key)
    yield from _fields_of(raw.get("not_followed_by"), (*path, "not_followed_by"))
