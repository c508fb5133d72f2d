"""Find rules of `same` that change nothing: for kinds that nothing reads, or that come from one source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from resegment.documents.diagnostics import Problems
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.conditions import Aggregate, Decay, OpenThings
from resegment.segmentation.language.parsing.raw_document import conditions, tests
from resegment.segmentation.language.sameness import plain_source


def check_same(definition: Definition, problems: Problems) -> None:
    """Report rules for kinds that no test and no trait reads."""
    if "same" not in definition.document.data:
        return
    if not definition.same:
        problems.warn(
            "unused-same",
            "same compares no kind of facts, so it changes nothing",
            ("same",),
            "add a kind, like funding: {within: 30d}, or remove it",
        )
    read = set(_kinds_read(definition))
    for rule in definition.same.rules:
        if rule.kind not in read:
            problems.warn(
                "unused-same",
                f"no test and no trait reads {rule.kind} facts",
                ("same", rule.kind),
                "remove it",
            )


def check_sources(definition: Definition, seen: Mapping[str, Collection[str]], problems: Problems) -> None:
    """Report what `same` can't compare in some events; `seen` are the sources of their facts, by kind."""
    known = {plain_source(one) for sources in seen.values() for one in sources}
    for index, name in enumerate(definition.same.trust):
        if name not in known:
            problems.warn(
                "unseen-source",
                f"no event is from the source {name!r}",
                ("same", "trust", index),
                f"sources of these events are {', '.join(sorted(known)[:5])}" if known else "",
            )
    for rule in definition.same.rules:
        if len(seen.get(rule.kind, ())) < 2:
            problems.warn(
                "unused-same",
                f"the {rule.kind} facts of these events don't come from two sources",
                ("same", rule.kind),
                "keep it if another source will follow",
            )


def _kinds_read(definition: Definition) -> Iterator[str]:
    for raw, path in conditions(definition.document.data):
        for test in tests(raw, path):
            if test.test == "event":
                yield test.name
    for trait in definition.traits.values():
        if isinstance(trait, OpenThings):
            yield trait.kind
        elif isinstance(trait, Aggregate | Decay):
            yield trait.matcher.kind
            if trait.matcher.unless is not None:
                yield trait.matcher.unless.kind
