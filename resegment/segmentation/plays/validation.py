"""What is wrong with the templates of a file's plays, so that rendering one never meets what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from jinja2 import nodes

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.fact import KINDS
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    InSegment,
    IsOpen,
    Named,
    Not,
    Occurs,
    OpenThings,
    Score,
    Sequence,
    Some,
    Trait,
)
from resegment.segmentation.language.fields import attribute_types, field_types
from resegment.segmentation.language.operators import KNOWN_WITHIN
from resegment.segmentation.language.raw_document import conditions as written_conditions
from resegment.segmentation.language.raw_document import entries, tests
from resegment.segmentation.plays.filters import FILTERS, MAX_TEXT
from resegment.segmentation.plays.templates import (
    FAILURES,
    GIVEN,
    TESTS,
    BrokenTemplate,
    EvidenceField,
    Reference,
    compile_template,
    is_template,
    parse,
    reference_of,
)

MAX_DEPTH: Final = 30
"""How deep a template may be nested."""

_TEXTS: Final = frozenset({"description", "message", "personas", "assets", "cta", "titles", "cares_about"})
"""The parts of a play, or of a persona, that templates may stand in."""

_ALWAYS: Final = ("count", "sum", "distinct")
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
_ALLOWED: Final = "a template has {{ ... }}, {% if %}, filters, comparisons and arithmetic"

Conditions = Mapping[tuple[int, str], Condition | None]


@dataclass(slots=True)
class _Known:
    """What is surely known where a text is said; `names` is None where all is taken to be, as a condition is broken."""

    names: frozenset[str] | None
    kinds: frozenset[str] | None
    """Kinds of events that a condition tests."""

    def __and__(self, other: _Known) -> _Known:
        return _Known(
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


def check_templates(
    data: Mapping[str, Any],
    conditions: Conditions,
    named: Mapping[str, Condition | None],
    traits: Mapping[str, Trait | None],
    problems: Problems,
) -> None:
    """Collect errors and warnings about every template of the file's plays and personas.

    `data` is the file as it is written, perhaps with other errors; `conditions` are those of its segments, `named` those
    that have a name.
    """
    plays, personas = _maps(data.get("plays")), _maps(data.get("personas"))
    if not any(True for _ in _templates(plays, ("plays",))) and not any(
        True for _ in _templates(personas, ("personas",))
    ):
        return
    known = _known_to_plays(data, conditions, named, traits)
    mentioned = _mentioned(data, traits)
    everything = _Known(None, None)
    to_personas: dict[str, _Known] = {}
    for name, play in plays.items():
        here = known.get(name, everything)
        for persona in play["personas"] if isinstance(play.get("personas"), list) else ():
            if isinstance(persona, str):
                to_personas[persona] = to_personas.get(persona, everything) & here
    for parts, root, scope in ((plays, "plays", known), (personas, "personas", to_personas)):
        for text, path in _templates(parts, (root,)):
            misplaced = path[2] not in _TEXTS and not (root == "personas" and path[2] == "message")
            if misplaced or path[-1] == "name":
                problems.error("misplaced-template", "no template can stand here", path, "write it out")
                continue
            checker = _Checker(path, problems, scope.get(str(path[1]), everything), traits, mentioned)
            checker.check(text)


def _maps(raw: Any) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in raw.items() if isinstance(one, dict)} if isinstance(raw, dict) else {}


def _templates(raw: Any, path: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(raw, str):
        if is_template(raw) and len(raw) <= MAX_TEXT:  # what is longer is refused elsewhere
            yield raw, path
    elif isinstance(raw, dict):
        for key, value in raw.items():
            yield from _templates(value, (*path, key))
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _templates(value, (*path, index))


# What is surely known


def _known_to_plays(
    data: Mapping[str, Any],
    conditions: Conditions,
    named: Mapping[str, Condition | None],
    traits: Mapping[str, Trait | None],
) -> dict[str, _Known]:
    always = frozenset(
        name
        for name, one in traits.items()
        if one is None
        or isinstance(one, Decay | OpenThings | Score)
        or (isinstance(one, Aggregate) and one.function in _ALWAYS)
    )
    whens: Whens = {
        InSegment(str(entry.get("name"))): conditions.get((int(path[1]), "when"))
        for entry, path in entries(dict(data))
        if path != ("fallback",)
    }
    whens.update((Named(name), one) for name, one in named.items())
    found: dict[str, _Known] = {}
    for entry, path in entries(dict(data)):
        play = entry.get("play")
        if not isinstance(play, str):
            continue
        here = _Known(always, frozenset())
        if path != ("fallback",):
            here = _known_in(entry, conditions.get((int(path[1]), "when")), whens, always)
        found[play] = found[play] & here if play in found else here
    return found


Whens = dict[InSegment | Named, Condition | None]
"""The conditions that others name."""


def _known_in(
    entry: Mapping[str, Any],
    when: Condition | None,
    whens: Whens,
    always: frozenset[str],
) -> _Known:
    """What is known of every account in a segment."""
    if when is None:
        return _Known(None, None)  # it has errors, which are told elsewhere
    hold = entry.get("hold")
    kept = isinstance(hold, dict) and ("min_dwell" in hold or "exit_when" in hold)
    return _Known(always if kept else always | _required(when, whens), _kinds_tested(when, whens))


def _required(when: Condition | None, whens: Whens) -> frozenset[str]:
    """The names that are known wherever the condition is true."""
    names: set[str] = set()
    todo, seen = [when], set[Condition]()
    while todo:
        part = todo.pop()
        if isinstance(part, Every):
            todo.extend(part.parts)
        elif isinstance(part, InSegment | Named) and part not in seen:
            seen.add(part)
            todo.append(whens.get(part))
        elif isinstance(part, Compare) and any(
            check.operand is True if check.operator == "exists" else check.operator != KNOWN_WITHIN
            for check in part.checks
        ):
            names.add(part.name)
    return frozenset(names)


def _kinds_tested(when: Condition | None, whens: Whens) -> frozenset[str]:
    """The kinds of events that a reason for the condition can name."""
    kinds: set[str] = set()
    todo, seen = [when], set[Condition]()
    while todo:
        part = todo.pop()
        if isinstance(part, Every | Some):
            todo.extend(part.parts)
        elif isinstance(part, Not):
            todo.append(part.part)
        elif isinstance(part, Occurs):
            kinds.add(part.matcher.kind)
        elif isinstance(part, IsOpen):
            kinds.add(part.things.kind)
        elif isinstance(part, Sequence):
            kinds.update(step.kind for step in part.steps)
        elif isinstance(part, InSegment | Named) and part not in seen:
            seen.add(part)
            todo.append(whens.get(part))
    return frozenset(kinds)


def _mentioned(data: Mapping[str, Any], traits: Mapping[str, Trait | None]) -> frozenset[str]:
    """Every attribute or trait that the file speaks of, and those of the contract."""
    names = {*traits, *attribute_types(), *GIVEN}
    for raw, path in written_conditions(dict(data)):
        names.update(test.name for test in tests(raw, path) if test.test == "value")
    for trait in traits.values():
        for part in ("over", "under", "attribute"):
            name = getattr(trait, part, None)
            if isinstance(name, str):
                names.add(name)
    listed = data.get("tests")
    for test in listed if isinstance(listed, list) else ():
        given = test.get("given") if isinstance(test, dict) else None
        attributes = given.get("attributes") if isinstance(given, dict) else None
        names.update(attributes if isinstance(attributes, dict) else ())
    return frozenset(names)


# One template


@dataclass(slots=True)
class _Checker:
    """Checks one text. `flow` goes through an expression and gives what may be missing for its value."""

    path: Path
    problems: Problems
    known: _Known
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
        self._error("forbidden-in-template", f"{what} cannot stand in a template", remedy)

    # What may stand in it

    def _look(self, node: nodes.Node, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.deep = True
            self._forbid(f"more than {MAX_DEPTH} levels", "make it simpler")
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
            self._forbid("self", "it is a word of templates; no attribute can be used by that name")
        else:
            self._look_at_reference(node.name)

    def _look_at_constant(self, node: nodes.Node) -> None:
        assert isinstance(node, nodes.Const)
        if node.value is None:
            self._forbid("none", "what is not known is not none but missing: use default or is defined")

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
                    "unknown-kind", f"{asked.kind!r} is no kind of event", f"one of {', '.join(KINDS)}"
                )
            elif asked.field not in (*field_types(asked.kind), "time", "source"):
                self._warn(
                    "unlisted-field",
                    f"the contract lists no field {asked.field!r} for {asked.kind}",
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
                f"nothing else in the file speaks of an attribute {asked!r}",
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
        """An expression whose value must be there."""
        for missing in self._flow(node, sure):
            self._error(
                "no-default",
                f"{missing} may be missing",
                f"write {{{{ {missing} | default('...') }}}}, or put it inside {{% if {missing} is defined %}}"
                if not missing.startswith("the first")
                else "write first | default('...')",
            )

    def _flow(self, node: nodes.Node, sure: frozenset[Reference]) -> list[str]:
        """What may be missing for the value of an expression; what may be missing inside is told at once."""
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


_LOOKS: Final[dict[type[nodes.Node], Callable[[_Checker, nodes.Node], None]]] = {
    nodes.Name: _Checker._look_at_name,
    nodes.Const: _Checker._look_at_constant,
    nodes.Filter: _Checker._look_at_filter,
    nodes.Test: _Checker._look_at_test,
    **dict.fromkeys(_ARITHMETIC, _Checker._look_at_arithmetic),
}


def _implied(test: nodes.Node, outcome: bool) -> frozenset[Reference]:
    """What is known where the test came out so."""
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
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names)}"
