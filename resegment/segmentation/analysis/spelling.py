"""Find texts in tests that no event can have: normalized otherwise, or misspelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.events import DATA
from resegment.schemas.vocabulary import ROUNDS, is_word_character, normalize_term
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.conditions import Aggregate, Trait
from resegment.segmentation.language.fields import words_of
from resegment.segmentation.language.limits import ACCOUNT
from resegment.segmentation.language.parsing.checks_parser import TAKES_LIST
from resegment.segmentation.language.parsing.raw_document import Written, conditions, tests
from resegment.segmentation.language.parsing.suggestions import suggest_word

Lists = Mapping[str, Sequence[Any]]
"""The named lists of a file, as they are written."""

_SPELT_OPERATORS: Final = ("eq", "ne", "in", "not_in", "has_any", "has_all", "has_none")


def lists_in(data: dict[str, Any]) -> Lists:
    """Return the named lists of a file that are lists."""
    raw = data.get("lists")
    return {name: one for name, one in raw.items() if isinstance(one, list)} if isinstance(raw, dict) else {}


def check_spelling(
    test: Written, traits: Mapping[str, Trait | None], lists: Lists, problems: Problems
) -> None:
    """Texts that no event can carry, as the contract spells them in another way or refuses them."""
    if test.test == "event" and test.name in DATA:
        where = test.operand.get("where")
        for field, raw in where.items() if isinstance(where, dict) else ():
            for operator, text, path in _texts(raw, (*test.path, "where", field), lists):
                _check_text(test.name, field, operator, text, path=path, problems=problems)
    elif test.test == "value":
        trait = traits.get(test.name)
        if isinstance(trait, Aggregate) and trait.function in ("latest", "earliest") and trait.field:
            kind, field = trait.matcher.kind, trait.field
        elif test.name not in traits and test.name != ACCOUNT:
            kind, field = "firmographic", test.name
        else:
            return
        for operator, text, path in _texts(test.operand, test.path, lists):
            _check_text(kind, field, operator, text, path=path, problems=problems)


def check_choices(definition: Definition, problems: Problems) -> None:
    """Warn of texts that the type of their attribute leaves out."""
    data = definition.document.data
    for raw, path in conditions(data):
        for test in tests(raw, path):
            kind = definition.types.get(test.name) if test.test == "value" else None
            if kind is None or not kind.choices or test.name in definition.traits:
                continue
            choices = [str(one) for one in kind.choices]
            for operator, text, place in _texts(test.operand, test.path, lists_in(data)):
                if operator in _SPELT_OPERATORS and text not in choices:
                    message = (
                        f"no account has the {test.name} {text!r}: its type is one of {', '.join(choices)}"
                    )
                    problems.warn("never-met", message, place, suggest_word(text, choices))


def _texts(raw: Any, path: Path, lists: Lists) -> Iterator[tuple[str, str, Path]]:
    """Operator, text and place of every text that a test compares with."""
    short = isinstance(raw, list) or (isinstance(raw, str) and raw.startswith("$"))
    checks = raw if isinstance(raw, dict) else {"in" if short else "eq": raw}
    for operator, operand in checks.items():
        here = (*path, operator) if isinstance(raw, dict) else path
        if isinstance(operand, list):
            found = [(one, (*here, index)) for index, one in enumerate(operand)]
        elif operator in TAKES_LIST and isinstance(operand, str):
            found = [(one, here) for one in lists.get(operand.removeprefix("$"), ())]
        else:
            found = [(operand, here)]
        yield from ((operator, one, place) for one, place in found if isinstance(one, str))


def _check_text(kind: str, field: str, operator: str, text: str, *, path: Path, problems: Problems) -> None:
    if operator == "contains" and field in DATA[kind].terms and not _is_in_terms(text):
        problems.warn(
            "never-met",
            f"events write {field} with letters, digits and _ only: it never contains {text!r}",
            path,
            f"write {normalize_term(text)!r}",
        )
    if operator not in _SPELT_OPERATORS:
        return
    try:
        read = _as_read(kind, field, text)
    except ValidationError:
        words = words_of(kind, field)
        if words:  # a text for a number is an error of its own
            remedy = suggest_word(text, words)
            problems.warn("never-met", f"no {kind} event has the {field} {text!r}", path, remedy)
        return
    if field == "round" and read == "other" and normalize_term(text) != read:
        problems.warn(
            "never-met",
            f"no funding event has the round {text!r}: unknown rounds become 'other'",
            path,
            suggest_word(text, sorted(ROUNDS - {"other"})),
        )
    elif read != text and read:
        remedy = "write it in lower case" if read == "other" else f"write {read!r}"
        problems.warn("never-met", f"events write {read!r} for {text!r}", path, remedy)
    elif not read:
        problems.warn("never-met", f"no {kind} event has an empty {field}", path, "use exists: false")


def _is_in_terms(text: str) -> bool:
    return all(one == "_" or is_word_character(one) for one in text)


def _as_read(kind: str, field: str, text: str) -> Any:
    """Return the text as an event's field has it once it is read. Raises pydantic's ValidationError."""
    model = DATA[kind]
    try:
        return getattr(model.model_validate({field: text}), field, text)
    except ValidationError:
        if field in model.model_fields:
            return getattr(model.model_validate({field: [text]}), field)[0]
        raise
