"""Small worked examples of what a switch means, sentence by sentence of the text, for whatever makes switches.

The account is acme.com and the fallback `out`, unless a case says otherwise. The second file takes over at `T`, day 10.
"""

from typing import Any, NamedTuple

from .cases import FUNDED, Expected, day, funding, hiring, path, segments, snapshot
from .naive.switching import Version

Json = Any
T = day(10)
SELLING = {"event": "hiring"}


class SwitchCase(NamedTuple):
    name: str
    versions: list[Version]
    events: list[dict[str, Json]]
    until: int | None
    expected: list[Expected]


def case(
    name: str,
    old: Json,
    new: Json,
    events: list[dict[str, Json]],
    *steps: tuple[str, int],
    until: int | None = None,
    later: Json | None = None,
) -> SwitchCase:
    versions = [Version(old, {}), Version(new, {}, T)]
    if later is not None:
        versions.append(Version(later, {}, day(20)))
    return SwitchCase(name, versions, events, until, path(*steps))


def resting(file: Json, name: str) -> Json:
    """The file with another name of the fallback."""
    return {**file, "fallback": {**file["fallback"], "name": name}}


def moving(file: Json, **moved: str) -> Json:
    return {**file, "moved": {new.rstrip("_"): old for new, old in moved.items()}}


SWITCH_CASES = [
    case(
        "a deadline before the instant is the old version's, and what follows the new one's",
        segments(in_={**FUNDED, "within": "9d"}), segments(in_={**FUNDED, "within": "12d"}), [funding(day(0))],
        ("in", day(0)), ("out", day(9)), ("in", T), ("out", day(12)),
    ),
    case(
        "a deadline at the instant is the new version's",
        segments(in_={**FUNDED, "within": "10d"}), segments(in_={**FUNDED, "within": "12d"}), [funding(day(0))],
        ("in", day(0)), ("out", day(12)),
    ),
    case(
        "a fact of the instant is known when the new version judges",
        segments(in_=FUNDED), segments(in_={"employees": {"gte": 5}}), [funding(day(0)), snapshot(T, employees=9)],
        ("in", day(0)),
    ),
    case(
        "the old version never sees a fact of the instant",
        segments(in_=SELLING), segments(other={**FUNDED, "within": "1d"}), [funding(day(0)), hiring(T)],
        ("out", day(0)),
    ),
    case(
        "an account first seen at the instant or later knows only the new version",
        segments(in_=FUNDED), segments(new=FUNDED), [funding(T)],
        ("new", T),
    ),
    case(
        "who stays in a segment of that name has been in it since the entry",
        segments(in_=FUNDED), segments(in_={"when": SELLING, "hold": {"min_dwell": "12d"}}), [funding(day(0))],
        ("in", day(0)), ("out", day(12)),
    ),
    case(
        "a new min_dwell that is over keeps nobody",
        segments(in_=FUNDED), segments(in_={"when": SELLING, "hold": {"min_dwell": "10d"}}), [funding(day(0))],
        ("in", day(0)), ("out", T),
    ),
    case(
        "a new cooldown counts from an exit before it",
        segments(in_={**FUNDED, "within": "3d"}), segments(in_={"when": FUNDED, "hold": {"cooldown": "8d"}}),
        [funding(day(0))],
        ("in", day(0)), ("out", day(3)), ("in", day(11)),
    ),
    case(
        "a new exit_when keeps who is in",
        segments(in_=FUNDED), segments(in_={"when": {"employees": 5}, "hold": {"exit_when": SELLING}}),
        [funding(day(0)), hiring(day(12))],
        ("in", day(0)), ("out", day(12)),
    ),
    case(
        "what moves is told by one change and keeps its entry",
        segments(in_=FUNDED),
        moving(segments(new={"when": SELLING, "hold": {"min_dwell": "12d"}}), new="in"), [funding(day(0))],
        ("in", day(0)), ("new", T), ("out", day(12)),
    ),
    case(
        "who moves and does not stay is told by one change, and leaves the new name",
        segments(in_={**FUNDED, "within": "30d"}),
        moving(segments(new={"when": {"any": [SELLING, {**FUNDED, "ago": ["11d", "20d"]}]},
                             "hold": {"cooldown": "4d"}}), new="in"), [funding(day(0))],
        ("in", day(0)), ("out", T), ("new", day(14)), ("out", day(20)),
    ),
    case(
        "all pairs move at once",
        segments(a=FUNDED, b=SELLING), moving(segments(b=FUNDED, a=SELLING), a="b", b="a"), [funding(day(0))],
        ("a", day(0)), ("b", T),
    ),
    case(
        "an exchange of names that fit as before tells nothing",
        segments(a=FUNDED, b=SELLING), moving(segments(a=FUNDED, b=SELLING), a="b", b="a"), [funding(day(0))],
        ("a", day(0)),
    ),
    case(
        "but it is a new entry, so that a stay counts from there",
        segments(a=FUNDED, b=SELLING),
        moving(segments(a={"when": {**FUNDED, "within": "11d"}, "hold": {"min_dwell": "3d"}}, b=SELLING),
               a="b", b="a"), [funding(day(0))],
        ("a", day(0)), ("out", day(13)),
    ),
    case(
        "of two exits that become one the later counts",
        segments(a={**FUNDED, "within": "2d"}, b={**FUNDED, "within": "5d"}),
        moving(segments(a={"when": FUNDED, "hold": {"cooldown": "6d"}}), a="b"), [funding(day(0))],
        ("a", day(0)), ("b", day(2)), ("out", day(5)), ("a", day(11)),
    ),
    case(
        "exits move as members do",
        segments(a={**FUNDED, "within": "5d"}),
        moving(segments(b={"when": FUNDED, "hold": {"cooldown": "6d"}}), b="a"), [funding(day(0))],
        ("a", day(0)), ("out", day(5)), ("b", day(11)),
    ),
    case(
        "a move of what the version before does not have is ignored",
        segments(a=FUNDED), moving(segments(a=FUNDED, b=SELLING), b="never"), [funding(day(0))],
        ("a", day(0)),
    ),
    case(
        "a move that is said again does nothing",
        segments(a=FUNDED), moving(segments(b=FUNDED), b="a"), [funding(day(0))],
        ("a", day(0)), ("b", T), later=moving(segments(b=FUNDED), b="a"),
    ),
    case(
        "moves that are said in a first version are ignored",
        moving(segments(a=FUNDED), a="b"), segments(a=FUNDED), [funding(day(0))],
        ("a", day(0)),
    ),
    case(
        "the fallback's name is a name like others",
        segments(a=FUNDED), moving(resting(segments(a=FUNDED), "rest"), rest="out"), [hiring(day(0))],
        ("out", day(0)), ("rest", T),
    ),
    case(
        "the fallback can become a segment, with its members and exits",
        segments(a={**FUNDED, "ago": ["2d", "30d"]}),
        moving(resting(segments(old={"when": FUNDED, "hold": {"cooldown": "9d"}}), "rest"), old="out", rest="a"),
        [funding(day(0))],
        ("out", day(0)), ("a", day(2)), ("rest", T), ("old", day(11)),
    ),
    case(
        "a segment that is gone loses its members whatever hold says",
        segments(a={"when": FUNDED, "hold": {"min_dwell": "90d"}}), segments(b=SELLING), [funding(day(0))],
        ("a", day(0)), ("out", T),
    ),
    case(
        "a draft loses its members whatever hold says, and it comes back after its cooldown",
        segments(a={"when": FUNDED, "hold": {"min_dwell": "90d"}}),
        segments(a={"when": FUNDED, "status": "draft", "hold": {"min_dwell": "90d"}}), [funding(day(0))],
        ("a", day(0)), ("out", T), ("a", day(22)),
        later=segments(a={"when": FUNDED, "hold": {"cooldown": "12d"}}),
    ),
]  # fmt: skip
