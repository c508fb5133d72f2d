"""What the extended cases are built from."""

from typing import NamedTuple

from tests.oracle.cases import Expected, Json, case, day, event, only, snapshot


class ExtendedCase(NamedTuple):
    """A case, and the text of each file that its tests name, by its path."""

    name: str
    file: dict[str, Json]
    events: list[dict[str, Json]]
    until: int | None
    expected: list[Expected]
    files: dict[str, str]


def extended(
    name: str,
    file: dict[str, Json],
    events: list[dict[str, Json]],
    *steps: tuple[str, int],
    until: int | None = None,
    files: dict[str, str] | None = None,
) -> ExtendedCase:
    return ExtendedCase(*case(name, file, events, *steps, until=until), files or {})


def when(condition: dict[str, Json], traits: dict[str, Json] | None = None, **keys: Json) -> dict[str, Json]:
    """A file of one segment, `in`, with other keys of the file."""
    return {**only(condition, traits), **keys}


def truth(
    name: str,
    value: Json,
    condition: dict[str, Json],
    given: dict[str, Json],
    *,
    account: str = "acme.com",
    files: dict[str, str] | None = None,
    **keys: Json,
) -> list[ExtendedCase]:
    """Two cases: where the condition takes one account, and where its opposite does. Unknown, neither does."""
    events = [{**snapshot(day(0), account=account), "data": given or {"seen": True}}]
    made = []
    for shown, asked, place in [
        (name, condition, "in" if value is True else "out"),
        (f"{name}, and its opposite", {"not": condition}, "in" if value is False else "out"),
    ]:
        expected = [Expected(account, None, place, day(0))]
        made.append(ExtendedCase(shown, when(asked, **keys), events, day(0), expected, files or {}))
    return made


def engagement(time: int, action: str, **given: Json) -> dict[str, Json]:
    return event("engagement", time, **{"action": action, "id": f"{action}-{time}", **given})


def outcome(time: int, action: str, **given: Json) -> dict[str, Json]:
    return event("outcome", time, **{"action": action, "id": f"{action}-{time}", **given})
