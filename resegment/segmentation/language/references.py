"""Names that a segments file gives and uses, checked on its plain data, so that no other error hides these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.segmentation.language.conditions import Decay, Growth, Ratio, Trait
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.parser import trait_type
from resegment.segmentation.language.raw_document import Written, entries, gates, tests

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
                    "duplicate-name", f"a second segment named {name!r}", (*path, "name"), "names are unique"
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
    for expected, path in _expectations(data):
        if expected not in seen:
            problems.error(
                "unknown-segment", f"no segment is named {expected!r}", path, _choices(sorted(seen))
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
                    problems.error("duplicate-name", f"{name!r} is a member twice", where, "take one out")
                members.add(name)
        named = entry.get("accounts") if isinstance(entry, dict) else None
        for account, member in named.items() if isinstance(named, dict) else ():
            _check_account(account, ("teams", team, "accounts", account), problems)
            if isinstance(member, str) and member not in members:
                path: Path = ("teams", team, "accounts", account)
                problems.error(
                    "unknown-member", f"{member!r} is no member of {team!r}", path, _choices(sorted(members))
                )


def _check_account(account: Any, path: Path, problems: Problems) -> None:
    """A named account is written as its events are resolved: by its registrable domain."""
    try:
        resolved = registrable_domain(str(account))
    except RefusedEvent as error:
        problems.error("wrong-value", f"{account!r} is no account: {error.message}", path)
        return
    if resolved != account:
        problems.error("wrong-value", f"{account!r} is the account {resolved!r}", path, f"write {resolved}")


def _expect(data: dict[str, Any], what: str, name: Any, path: Path, problems: Problems) -> None:
    given = data.get(f"{what}s", {})
    if isinstance(name, str) and name and isinstance(given, dict) and name not in given:
        problems.error(f"unknown-{what}", f"no {what} is named {name!r}", path, _choices(given))


def _choices(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", ..." if len(listed) > _MOST_CHOICES else ""
    return f"there is {', '.join(listed[:_MOST_CHOICES])}{more}" if listed else "there is none"


def _expectations(data: dict[str, Any]) -> Iterable[tuple[str, Path]]:
    """The segments that the file's tests expect."""
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


def _check_references(data: dict[str, Any], problems: Problems) -> None:
    """References from condition to condition: known, and never round in a circle."""
    tested = {
        entry["name"]: path
        for entry, path in entries(data)
        if path != ("fallback",) and isinstance(entry.get("name"), str)
    }
    refers: dict[str, list[str]] = {}
    for entry, path in entries(data):
        hold = entry.get("hold")
        leave = hold.get("exit_when") if isinstance(hold, dict) else None
        own = [one for one in tests(entry.get("when"), (*path, "when")) if one.test == "segment"]
        others = [one for one in tests(leave, (*path, "hold", "exit_when")) if one.test == "segment"]
        for one in (*own, *others):
            _expect_tested(one, tested, problems)
        if isinstance(entry.get("name"), str):
            refers.setdefault(entry["name"], []).extend(one.name for one in own)
    for raw, path in gates(data):
        for one in tests(raw, path):
            if one.test == "segment":
                _expect_tested(one, tested, problems)
    circles = {name for name in tested if _reaches(name, refers)}
    deep = _find_deep(refers) if not circles else set()
    for name, path in tested.items():
        if name in deep:
            problems.error(
                "too-large",
                f"the condition of {name!r} leads through more than {MAX_REFERENCES} other segments",
                (*path, "when"),
                "write the tests out",
            )
        if name in circles:
            problems.error(
                "cycle",
                f"the condition of {name!r} refers to itself",
                (*path, "when"),
                "take one of the references out",
            )


def _expect_tested(test: Written, tested: Mapping[str, Path], problems: Problems) -> None:
    if test.name not in tested:
        problems.error(
            "unknown-segment",
            f"no segment with a condition is named {test.name!r}",
            test.path,
            _choices(sorted(tested)),
        )


def _reaches(goal: str, edges: Mapping[str, list[str]]) -> bool:
    """Whether a way leads from the goal back to it."""
    todo, seen = list(edges.get(goal, ())), set[str]()
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(edges.get(name, ()))
    return False


def _find_deep(edges: Mapping[str, list[str]]) -> set[str]:
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
            "the fallback has neither play nor route",
            ("fallback",),
            "give it a play or a route",
        )
    seen: dict[tuple[Any, ...], Any] = {}
    for entry, path in entries(data):
        action = _action(entry)
        if action is None:
            continue
        twin = seen.setdefault(action, entry.get("name"))
        if twin != entry.get("name"):
            problems.error(
                "not-actionable",
                f"{entry.get('name')!r} has the play and the route of {twin!r}",
                path,
                "give it another play or route, or merge the two",
            )


def _action(entry: dict[str, Any]) -> tuple[Any, ...] | None:
    """What the segment does, or None where that is not said in full."""
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


def check_traits(traits: Mapping[str, Trait | None], problems: Problems) -> None:
    """What ratios and growths are made of."""
    ratios = {name: [one.over, one.under] for name, one in traits.items() if isinstance(one, Ratio)}
    for name, parts in ratios.items():
        path: Path = ("traits", name, "ratio")
        if _reaches(name, ratios):
            problems.error(
                "cycle", f"the trait {name!r} refers to itself", path, "take one of the references out"
            )
        for index, part in enumerate(parts):
            here = (*path, index)
            if part in traits:
                trait = traits[part]
                kind = "any" if trait is None else trait_type(trait)
                if isinstance(trait, Decay):
                    problems.error(
                        "decay-operator", f"{part!r} is a decayed sum: it stands in no ratio", here
                    )
                    continue
            else:
                kind = attribute_types().get(part, "any")
            if kind not in ("number", "any"):
                problems.error("never-matches", f"{part!r} is {kind}, no number: it stands in no ratio", here)
    for name, trait in traits.items():
        if isinstance(trait, Growth) and trait.attribute in traits:
            problems.error(
                "wrong-type",
                f"growth takes an attribute, {trait.attribute!r} is a trait",
                ("traits", name, "growth"),
            )
