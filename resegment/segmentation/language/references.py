"""Names that a segments file gives and uses, checked on its plain data, so that no other error hides these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.language.conditions import Decay, Growth, Ratio, Trait
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.parsing.checks_parser import check_account
from resegment.segmentation.language.parsing.raw_document import (
    Written,
    conditions,
    entries,
    named_conditions,
    terms,
    tests,
)
from resegment.segmentation.language.parsing.trait_parser import trait_type

MAX_REFERENCES: Final = 16
"""How many segments deep references may lead from one condition to the next."""

_MOST_CHOICES: Final = 12


def check_names(data: dict[str, Any], problems: Problems) -> None:
    """Names given twice, and names of plays, teams, personas and segments that nothing has."""
    seen: set[str] = set()
    for entry, path in entries(data):
        name = entry.get("name")
        if isinstance(name, str):
            if name in seen:
                problems.error(
                    "duplicate-name",
                    f"two segments are named {name!r}",
                    (*path, "name"),
                    "use different names",
                )
            seen.add(name)
        _expect(data, "play", entry.get("play"), (*path, "play"), problems)
        route = entry.get("route")
        if isinstance(route, dict):
            _expect(data, "team", route.get("team"), (*path, "route", "team"), problems)
            if data.get("qualifications"):  # a file without them names treatments that others know
                where = (*path, "route", "qualification")
                _expect(data, "qualification", route.get("qualification"), where, problems)
    plays = data.get("plays")
    for name, play in plays.items() if isinstance(plays, dict) else ():
        personas = play.get("personas") if isinstance(play, dict) else None
        for index, persona in enumerate(personas if isinstance(personas, list) else ()):
            _expect(data, "persona", persona, ("plays", name, "personas", index), problems)
    _check_members(data.get("teams"), problems)
    known = isinstance(
        data.get("fallback"), dict
    )  # without it, tests rightly expect a segment that is missing
    for expected, path in _expectations(data):
        if known and expected not in seen:
            problems.error(
                "unknown-segment", f"no segment is named {expected!r}", path, choices(sorted(seen))
            )
    _check_references(data, problems)


def _check_members(teams: Any, problems: Problems) -> None:
    """Each member of a team once, and named accounts only for members."""
    for team, entry in teams.items() if isinstance(teams, dict) else ():
        listed = entry.get("members") if isinstance(entry, dict) else None
        members: set[str] = set()
        for index, member in enumerate(listed if isinstance(listed, list) else ()):
            name = member.get("name") if isinstance(member, dict) else member
            if isinstance(name, str):
                if name in members:
                    where: Path = ("teams", team, "members", index)
                    problems.error("duplicate-name", f"{name!r} is listed twice", where, "remove one")
                members.add(name)
        named = entry.get("accounts") if isinstance(entry, dict) else None
        for account, member in named.items() if isinstance(named, dict) else ():
            check_account(str(account), ("teams", team, "accounts", account), problems)
            if isinstance(member, str) and member not in members:
                path: Path = ("teams", team, "accounts", account)
                problems.error(
                    "unknown-member",
                    f"{member!r} is not a member of {team!r}",
                    path,
                    choices(sorted(members)),
                )


def _expect(data: dict[str, Any], what: str, name: Any, path: Path, problems: Problems) -> None:
    given = data.get(f"{what}s", {})
    if isinstance(name, str) and name and isinstance(given, dict) and name not in given:
        problems.error(f"unknown-{what}", f"no {what} is named {name!r}", path, choices(given))


def choices(names: Iterable[str]) -> str:
    """Return the remedy that names what a file defines."""
    listed = list(names)
    more = ", ..." if len(listed) > _MOST_CHOICES else ""
    return f"use one of {', '.join(listed[:_MOST_CHOICES])}{more}" if listed else "the file defines none"


def _expectations(data: dict[str, Any]) -> Iterable[tuple[str, Path]]:
    """Yield the segments that the file's tests expect."""
    listed = data.get("tests")
    for index, test in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(test, dict):
            continue
        path: Path = ("tests", index)
        later = test.get("until")
        found = [(test, path), *_listed(later, (*path, "until"))]
        if isinstance(later, dict):
            found.append((later, (*path, "until")))
        for one, where in found:
            if isinstance(one, dict) and isinstance(one.get("expect"), str):
                yield one["expect"], (*where, "expect")


def _listed(raw: Any, path: Path) -> list[tuple[Any, Path]]:
    return [(one, (*path, index)) for index, one in enumerate(raw)] if isinstance(raw, list) else []


Node = tuple[str, str]
"""What a condition may name: its sort (`segment`, `condition` or `trait`), and its name."""


def _check_references(data: dict[str, Any], problems: Problems) -> None:
    """Check that references from condition to condition are known, and lead in no circle."""
    tested: dict[Node, Path] = {
        ("segment", entry["name"]): (*path, "when")
        for entry, path in entries(data)
        if path != ("fallback",) and isinstance(entry.get("name"), str)
    }
    tested.update((("condition", str(path[1])), path) for _, path in named_conditions(data))
    for raw, path in conditions(data):
        for test in tests(raw, path):
            if test.test in ("segment", "condition"):
                _expect_tested(test, tested, problems)
    refers = _find_references(data)
    traits = data.get("traits")
    for sort, name in refers:
        if sort == "trait" and isinstance(traits, dict):
            tested[sort, name] = ("traits", name, "ratio" if "ratio" in traits[name] else "score")
    circles = {node for node in tested if _reaches(node, refers)}
    deep = _find_deep(refers) if not circles else set()
    for node, path in tested.items():
        what = f"the condition of {node[1]!r}" if node[0] == "segment" else f"the {node[0]} {node[1]!r}"
        if node in deep:
            problems.error(
                "too-large",
                f"{what} refers through more than {MAX_REFERENCES} others",
                path,
                "write the tests out",
            )
        if node in circles:
            problems.error("cycle", f"{what} refers to itself", path, "remove one of the references")


def _find_references(data: dict[str, Any]) -> dict[Node, list[Node]]:
    """Return what each segment, condition, score and ratio names."""
    refers: dict[Node, list[Node]] = {}
    raw_traits = data.get("traits")
    traits = raw_traits if isinstance(raw_traits, dict) else {}

    def names(raw: Any, path: Path) -> Iterable[Node]:
        for test in tests(raw, path):
            if test.test in ("segment", "condition"):
                yield test.test, test.name
            elif test.test == "value" and test.name in traits:
                yield "trait", test.name

    for entry, path in entries(data):
        if isinstance(entry.get("name"), str):
            refers.setdefault(("segment", entry["name"]), []).extend(names(entry.get("when"), path))
    for raw, path in named_conditions(data):
        refers[("condition", str(path[1]))] = list(names(raw, path))
    for trait, entry in traits.items():
        pair = entry.get("ratio") if isinstance(entry, dict) else None
        found: list[Node] = [("trait", one) for one in _names_in(pair) if one in traits]
        for raw, path in terms(data, trait):
            found += names(raw, path)
        if found:
            refers[("trait", trait)] = found
    return refers


def _names_in(raw: Any) -> list[str]:
    return [one for one in raw if isinstance(one, str)] if isinstance(raw, list) else []


def _expect_tested(test: Written, tested: Mapping[Node, Path], problems: Problems) -> None:
    if (test.test, test.name) not in tested:
        what = "segment with a condition" if test.test == "segment" else "condition"
        problems.error(
            f"unknown-{test.test}",
            f"no {what} is named {test.name!r}",
            test.path,
            choices(sorted(name for sort, name in tested if sort == test.test)),
        )


def _reaches(goal: Node, edges: Mapping[Node, list[Node]]) -> bool:
    """Whether a way leads from the goal back to it."""
    todo, seen = list(edges.get(goal, ())), set[Node]()
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(edges.get(name, ()))
    return False


def _find_deep(edges: Mapping[Node, list[Node]]) -> set[Node]:
    """Names from which more than MAX_REFERENCES steps lead on; there is no circle."""
    reaching = set(edges)
    for _ in range(MAX_REFERENCES + 1):
        reaching = {name for name in reaching if not reaching.isdisjoint(edges.get(name, ()))}
    return reaching


def check_actionable(data: dict[str, Any], problems: Problems) -> None:
    """Segments that would do nothing, or nothing else than another does."""
    fallback = data.get("fallback")
    if isinstance(fallback, dict) and fallback.get("play") is None and fallback.get("route") is None:
        problems.error(
            "not-actionable",
            "the fallback has neither a play nor a route",
            ("fallback",),
            "give it a play or a route",
        )
    seen: dict[tuple[Any, ...], Any] = {}
    for entry, path in entries(data):
        action = _action(entry)
        if action is None or entry.get("status") == "draft":
            continue
        twin = seen.setdefault(action, entry.get("name"))
        if twin != entry.get("name"):
            problems.error(
                "not-actionable",
                f"{entry.get('name')!r} has the same play and route as {twin!r}",
                path,
                "change its play or route, or merge the two segments",
            )


def _action(entry: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what the segment does, or None where that is not said in full."""
    play, route = entry.get("play"), entry.get("route")
    if not isinstance(play, str) or not isinstance(route, dict) or not isinstance(route.get("workflow"), str):
        return None
    details = (
        *(route.get(key) for key in ("team", "qualification", "cooldown")),
        route.get("on_exit", "stop"),
        route.get("reentry", "always"),
    )
    whole = all(one is None or isinstance(one, str) for one in details)
    return (play, route["workflow"], *details) if whole else None


def check_traits(traits: Mapping[str, Trait | None], types: Mapping[str, str], problems: Problems) -> None:
    """Check what ratios and growths are made of. `types` are those of the file's own attributes."""
    ratios = {name: [one.over, one.under] for name, one in traits.items() if isinstance(one, Ratio)}
    for name, parts in ratios.items():
        for index, part in enumerate(parts):
            here: Path = ("traits", name, "ratio", index)
            if part in traits:
                trait = traits[part]
                kind = "any" if trait is None else trait_type(trait, types)
                if isinstance(trait, Decay):
                    problems.error(
                        "decay-operator", f"{part!r} is a decayed sum: it can't be used in a ratio", here
                    )
                    continue
            else:
                kind = types.get(part) or attribute_types().get(part, "any")
            if kind not in ("number", "any"):
                problems.error(
                    "never-matches", f"{part!r} is {kind}, not a number: it can't be used in a ratio", here
                )
    for name, trait in traits.items():
        if isinstance(trait, Growth) and trait.attribute in traits:
            problems.error(
                "wrong-type",
                f"growth takes an attribute, and {trait.attribute!r} is a trait",
                ("traits", name, "growth"),
            )
