"""Texts of plays with places for what is known of an account: their language, and how they are read and compiled.

A template is Jinja2 reduced to output, if and else, over plain values: nothing is called, no attribute of an object is
read, nothing repeats. So it ends at once and reaches nothing but what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from resegment.schemas.segments import Persona, Play
from resegment.segmentation.plays.filters import FILTERS, MAX_TEXT
from resegment.segmentation.plays.phrases import spell_value

GIVEN: Final = frozenset({"account", "segment", "evidence"})
"""What every template may use beside attributes and traits."""

FAILURES: Final = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""What a template that is free of errors may still meet in values: a text where a number is meant, a division by zero."""

_ARITHMETIC: Final = ("+", "-", "*", "/", "//", "%")


class Fields(dict[str, Any]):
    """The one kind of object whose parts a template reads by name."""


class Facts(Fields):
    """Kind to the fields of its newest fact; every kind is in it, if empty."""

    def __missing__(self, kind: str) -> Fields:
        return Fields()


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(_ARITHMETIC)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Fields):
            try:
                return obj[attribute]
            except KeyError:
                return StrictUndefined(name=attribute)
        raise SecurityError(f"{attribute!r} of {type(obj).__name__}")

    def getitem(self, obj: Any, argument: Any) -> Any:
        raise SecurityError(f"{argument!r} of {type(obj).__name__}")

    def call(self, *_: Any, **__: Any) -> Any:
        raise SecurityError("a call")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for one in (left, right):
            if isinstance(one, bool) or not isinstance(one, int | float):
                raise TypeError(f"{operator} takes numbers")
        return super().call_binop(context, operator, left, right)


def _finalize(value: Any) -> Any:
    return value if isinstance(value, str | Undefined) else spell_value(value)


def _make_sandbox() -> _Sandbox:
    sandbox = _Sandbox(
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,
        optimized=False,
        keep_trailing_newline=True,
    )
    sandbox.globals.clear()
    sandbox.filters = {name: one.apply for name, one in FILTERS.items()}
    sandbox.tests = {name: sandbox.tests[name] for name in TESTS}
    return sandbox


TESTS: Final = ("defined", "undefined")
_sandbox: Final = _make_sandbox()


# Reading


class BrokenTemplate(ValueError):
    """A template that does not parse, or is too deep to."""


def is_template(text: str) -> bool:
    """Whether the text is other than it is read."""
    return "{{" in text or "{%" in text


@lru_cache(maxsize=4096)
def parse(text: str) -> nodes.Template:
    """Return the syntax tree, which nobody changes. Raises BrokenTemplate."""
    try:
        return _sandbox.parse(text)
    except TemplateSyntaxError as error:
        raise BrokenTemplate(error.message or "it does not parse") from None
    except RecursionError:
        raise BrokenTemplate("it is nested too deeply") from None


class EvidenceField(NamedTuple):
    """`evidence.KIND.FIELD`."""

    kind: str
    field: str

    def __str__(self) -> str:
        return f"evidence.{self.kind}.{self.field}"


Reference = str | EvidenceField
"""What a template may ask for: an attribute or trait, or a field of evidence."""


def reference_of(node: nodes.Node) -> Reference | None:
    """Return what the node asks for; None for any other node, `evidence` alone among them."""
    if isinstance(node, nodes.Name):
        return None if node.name == "evidence" else node.name
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Getattr):
        root = node.node.node
        if isinstance(root, nodes.Name) and root.name == "evidence":
            return EvidenceField(node.node.attr, node.attr)
    return None


def references(text: str) -> frozenset[Reference]:
    """All that a text asks for. Raises BrokenTemplate."""
    if not is_template(text):
        return frozenset()
    tree = parse(text)
    found = {reference_of(node) for node in tree.find_all((nodes.Name, nodes.Getattr))}
    return frozenset(one for one in found if one is not None)


def names_of(play: Play, personas: Mapping[str, Persona] | None = None) -> frozenset[str]:
    """Return the attributes and traits that a play's texts use, and those of the personas that it names, if given."""
    return frozenset(one for one in _asked(play, personas or {}) if isinstance(one, str)) - GIVEN


def evidence_of(play: Play, personas: Mapping[str, Persona] | None = None) -> frozenset[EvidenceField]:
    """Return the fields of facts that a play's texts use."""
    return frozenset(one for one in _asked(play, personas or {}) if isinstance(one, EvidenceField))


def _asked(play: Play, personas: Mapping[str, Persona]) -> Iterator[Reference]:
    named = [personas[one] for one in play.personas if isinstance(one, str) and one in personas]
    for part in (play, *named):
        for text in texts_of(part.model_dump(mode="json", exclude_none=True)):
            yield from references(text)


def texts_of(value: Any) -> Iterator[str]:
    """Every text of plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)


# Rendering

Render = Callable[[dict[str, Any]], str]
"""From variables to the text, its ends stripped. Raises one of FAILURES."""


def compile_template(text: str) -> Render:
    """Return the text as a function. Raises one of FAILURES, or SyntaxError, for what `check_templates` refuses."""
    template = _sandbox.from_string(text)
    new_context, pieces = template.new_context, template.root_render_func

    def render(variables: dict[str, Any]) -> str:
        parts: list[str] = []
        room = MAX_TEXT
        for part in pieces(new_context(variables, shared=True)):
            room -= len(part)
            if room < 0:
                raise ValueError(f"a text of more than {MAX_TEXT} characters")
            parts.append(part)
        return "".join(parts).strip()

    return render


def plain_part(text: str) -> str:
    """Return what a template says whatever is known: its words outside of expressions and conditions."""
    said = [
        one.data
        for node in parse(text).body
        if isinstance(node, nodes.Output)
        for one in node.nodes
        if isinstance(one, nodes.TemplateData)
    ]
    return " ".join("".join(said).split())


def clean(values: Mapping[str, Any]) -> Fields:
    """Values as templates see them: null is missing, and none is longer than a text may be."""
    return Fields((name, _cut(value)) for name, value in values.items() if value is not None)


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list | tuple):
        return [_cut(one) for one in value[:MAX_TEXT] if one is not None]
    return value
