"""Check one template: what it may contain, and that rendering it never meets a missing value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from jinja2 import nodes

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.fact import KINDS
from resegment.segmentation.language.conditions import Trait
from resegment.segmentation.language.fields import field_types
from resegment.segmentation.plays.filters import FILTERS
from resegment.segmentation.plays.templates import (
    FAILURES,
    GIVEN,
    TESTS,
    BrokenTemplate,
    EvidenceField,
    Reference,
    compile_template,
    parse,
    reference_of,
)

MAX_DEPTH: Final = 30
"""How deep a template may be nested."""

_PLAIN: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.List,
    nodes.Tuple,
    nodes.If,
    nodes.CondExpr,
)
_ARITHMETIC: Final = (
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Neg,
    nodes.Pos,
)
_NAMED: Final[dict[type[nodes.Node], str]] = {
    nodes.For: "a loop",
    nodes.Call: "a call",
    nodes.Getattr: "a part of a value",
    nodes.Getitem: "a part of a value",
    nodes.Concat: "~",
    nodes.Pow: "**",
    nodes.Dict: "a map",
    nodes.FilterBlock: "a filter block",
    nodes.CallBlock: "a call",
}
_ALLOWED: Final = "templates can use {{ ... }}, {% if %}, filters, comparisons and arithmetic"


@dataclass(slots=True)
class Known:
    """What is surely known where a text is said; `names` is None where all is taken to be, as a condition is broken."""

    names: frozenset[str] | None
    kinds: frozenset[str] | None
    """Kinds of events that a condition tests."""

    def __and__(self, other: Known) -> Known:
        return Known(
            other.names
            if self.names is None
            else self.names & other.names
            if other.names is not None
            else self.names,
            other.kinds
            if self.kinds is None
            else self.kinds | other.kinds
            if other.kinds is not None
            else self.kinds,
        )


@dataclass(slots=True)
class TemplateChecker:
    """Checks one text. `flow` goes through an expression and gives what may be missing for its value."""

    path: Path
    problems: Problems
    known: Known
    traits: Mapping[str, Trait | None]
    mentioned: frozenset[str]
    wrong: bool = False
    deep: bool = False
    told: set[tuple[str, str]] = field(default_factory=set)

    def check(self, text: str) -> None:
        try:
            tree = parse(text)
        except BrokenTemplate as error:
            self._error("broken-template", f"the template does not parse: {error}", "fix it, or remove it")
            return
        self._look(tree, 0)
        if not self.deep:
            self._go(tree.body, frozenset())
        if self.wrong:
            return
        try:
            compile_template(text)
        except (*FAILURES, SyntaxError) as error:
            self._error("broken-template", f"the template cannot be used: {error}", "fix it, or remove it")

    def _error(self, code: str, message: str, remedy: str | None) -> None:
        self.wrong = True
        if (code, message) not in self.told:
            self.told.add((code, message))
            self.problems.error(code, message, self.path, remedy)

    def _warn(self, code: str, message: str, remedy: str | None) -> None:
        if (code, message) not in self.told:
            self.told.add((code, message))
            self.problems.warn(code, message, self.path, remedy)

    def _forbid(self, what: str, remedy: str = _ALLOWED) -> None:
        self._error("forbidden-in-template", f"a template can't contain {what}", remedy)

    # What may stand in it

    def _look(self, node: nodes.Node, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.deep = True
            self._forbid(f"more than {MAX_DEPTH} levels", "simplify it")
            return
        if isinstance(node, nodes.Getattr) and (asked := reference_of(node)) is not None:
            self._look_at_reference(asked)
            return
        look = _LOOKS.get(type(node))
        if look is not None:
            look(self, node)
        elif not isinstance(node, _PLAIN):
            self._forbid(_NAMED.get(type(node), type(node).__name__.lower()))
            return
        for child in node.iter_child_nodes():
            self._look(child, depth + 1)

    def _look_at_name(self, node: nodes.Node) -> None:
        assert isinstance(node, nodes.Name)
        if node.name == "evidence":
            self._forbid("evidence alone", "write evidence.KIND.FIELD, like evidence.funding.round")
        elif node.name == "self":
            self._forbid("self", "it is a reserved word of templates, so no attribute can have that name")
        else:
            self._look_at_reference(node.name)

    def _look_at_constant(self, node: nodes.Node) -> None:
        assert isinstance(node, nodes.Const)
        if node.value is None:
            self._forbid("none", "an unknown value is undefined, not none: use default or is defined")

    def _look_at_arithmetic(self, node: nodes.Node) -> None:
        for child in node.iter_child_nodes():
            if isinstance(child, nodes.Const) and isinstance(child.value, str | bool):
                self._forbid(f"arithmetic with {child.value!r}", "arithmetic takes numbers")

    def _look_at_filter(self, node: nodes.Node) -> None:
        assert isinstance(node, nodes.Filter)
        known = FILTERS.get(node.name)
        if node.node is None:
            self._forbid("a filter block")
        elif known is None:
            self._error(
                "unknown-filter", f"there is no filter {node.name!r}", _choices(node.name, tuple(FILTERS))
            )
        elif node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
            self._forbid("an argument by name", f"write {node.name}(...) with plain values")
        elif not known.least <= len(node.args) <= known.most:
            wanted = f"{known.least}" if known.least == known.most else f"{known.least} to {known.most}"
            self._error(
                "wrong-filter",
                f"{node.name} takes {wanted} arguments, not {len(node.args)}",
                "fix its arguments",
            )

    def _look_at_test(self, node: nodes.Node) -> None:
        assert isinstance(node, nodes.Test)
        if node.name not in TESTS:
            self._forbid(f"is {node.name}", "use is defined, is undefined, or a comparison like ==")
        elif reference_of(node.node) is None:
            self._forbid(f"is {node.name} of an expression", "ask it of a name or of evidence.KIND.FIELD")

    def _look_at_reference(self, asked: Reference) -> None:
        if isinstance(asked, EvidenceField):
            if asked.kind not in KINDS:
                self._error(
                    "unknown-kind", f"{asked.kind!r} is not a kind of event", f"use one of {', '.join(KINDS)}"
                )
            elif asked.field not in (*field_types(asked.kind), "time", "source"):
                self._warn(
                    "unlisted-field",
                    f"the contract has no field {asked.field!r} for {asked.kind} events",
                    _choices(asked.field, (*field_types(asked.kind), "time", "source")),
                )
            elif self.known.kinds is not None and asked.kind not in self.known.kinds:
                self._warn(
                    "no-evidence",
                    f"no segment with this play tests {asked.kind} events, so {asked} is never there",
                    "test one in its condition, or use a trait",
                )
        elif asked not in self.mentioned:
            self._warn(
                "unknown-attribute",
                f"no test or trait in the file uses an attribute {asked!r}",
                _choices(asked, tuple(self.mentioned))
                if get_close_matches(asked, self.mentioned, 1, 0.75)
                else None,
            )

    # What may be missing

    def _go(self, body: list[nodes.Node], sure: frozenset[Reference]) -> None:
        """Through statements, of which those references are known."""
        for node in body:
            if isinstance(node, nodes.Output):
                for one in node.nodes:
                    self._strict(one, sure)
            elif isinstance(node, nodes.If):
                self._strict(node.test, sure)
                self._go(node.body, sure | _implied(node.test, True))
                rest = sure | _implied(node.test, False)
                for branch in node.elif_:
                    self._strict(branch.test, rest)
                    self._go(branch.body, rest | _implied(branch.test, True))
                    rest = rest | _implied(branch.test, False)
                self._go(node.else_, rest)

    def _strict(self, node: nodes.Node, sure: frozenset[Reference]) -> None:
        """Check an expression whose value must be there."""
        for missing in self._flow(node, sure):
            self._error(
                "no-default",
                f"{missing} may be missing",
                f"write {{{{ {missing} | default('...') }}}}, or put it inside {{% if {missing} is defined %}}"
                if not missing.startswith("the first")
                else "write first | default('...')",
            )

    def _flow(self, node: nodes.Node, sure: frozenset[Reference]) -> list[str]:
        """Return what may be missing for the value of an expression; what may be missing inside is told at once."""
        asked = reference_of(node)
        if asked is not None:
            return [] if self._is_known(asked, sure) else [str(asked)]
        if isinstance(node, nodes.Filter):
            for argument in node.args:
                self._strict(argument, sure)
            assert node.node is not None
            missing = self._flow(node.node, sure)
            if node.name == "default":
                return []
            return [*missing, "the first of a list"] if node.name == "first" else missing
        if isinstance(node, nodes.Test):
            return []
        if isinstance(node, nodes.CondExpr):
            self._strict(node.test, sure)
            if node.expr2 is None:
                self._forbid("an if inside {{ }} without else", "write {{ a if b else c }}")
                return []
            return [
                *self._flow(node.expr1, sure | _implied(node.test, True)),
                *self._flow(node.expr2, sure | _implied(node.test, False)),
            ]
        if isinstance(node, nodes.And | nodes.Or):
            self._strict(node.left, sure)
            return self._flow(node.right, sure | _implied(node.left, isinstance(node, nodes.And)))
        for child in node.iter_child_nodes():
            self._strict(child, sure)
        return []

    def _is_known(self, asked: Reference, sure: frozenset[Reference]) -> bool:
        if asked in sure:
            return True
        if isinstance(asked, EvidenceField):
            return False
        return asked in GIVEN or self.known.names is None or asked in self.known.names


_LOOKS: Final[dict[type[nodes.Node], Callable[[TemplateChecker, nodes.Node], None]]] = {
    nodes.Name: TemplateChecker._look_at_name,
    nodes.Const: TemplateChecker._look_at_constant,
    nodes.Filter: TemplateChecker._look_at_filter,
    nodes.Test: TemplateChecker._look_at_test,
    **dict.fromkeys(_ARITHMETIC, TemplateChecker._look_at_arithmetic),
}


def _implied(test: nodes.Node, outcome: bool) -> frozenset[Reference]:
    """Return what is known where the test came out so."""
    if isinstance(test, nodes.Test):
        asked = reference_of(test.node)
        wanted = "defined" if outcome else "undefined"
        return frozenset() if asked is None or test.name != wanted else frozenset({asked})
    if isinstance(test, nodes.Not):
        return _implied(test.node, not outcome)
    if isinstance(test, nodes.And | nodes.Or):
        left, right = _implied(test.left, outcome), _implied(test.right, outcome)
        return left | right if isinstance(test, nodes.And) is outcome else left & right
    return frozenset()


def _choices(wrong: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(wrong, names, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(names)}"
