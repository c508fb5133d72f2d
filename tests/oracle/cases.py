"""Small worked examples of what the segments language means, for whatever evaluates it.

Every case is judged from the changes its events give. Unless it says otherwise the file has one segment, `in`,
and the fallback `out`, and the account is acme.com. Instants are milliseconds since the epoch; `day(n)` is n days in.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Json = Any
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = 1_704_067_200_000  # 2024-01-01
HOUR = 3_600_000


class Expected(NamedTuple):
    account: str
    from_: str | None
    to: str
    effective_at: int


class Case(NamedTuple):
    name: str
    file: dict[str, Json]
    events: list[dict[str, Json]]
    until: int | None
    expected: list[Expected]


def day(number: float) -> int:
    return START + round(number * 24 * HOUR)


def spelled(instant: int) -> str:
    moment = EPOCH + timedelta(milliseconds=instant)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def event(kind: str, time: int, *, known: int | None = None, **given: Json) -> dict[str, Json]:
    """An event of acme.com; the envelope's own words are taken from `given`, the rest is its data."""
    made = {
        "specversion": "1.0",
        "id": given.pop("id", f"{kind}-{time}"),
        "source": given.pop("source", "crawler"),
        "type": f"gtm.{kind}.v1",
        "subject": given.pop("account", "acme.com"),
        "time": given.pop("spelling", spelled(time)),
    }
    if known is not None:
        made["recordedtime"] = spelled(known)
    for word in ("record", "op"):
        if word in given:
            made[word] = given.pop(word)
    return {**made, "data": given}


def snapshot(time: int, **given: Json) -> dict[str, Json]:
    return event("firmographic", time, **given)


def funding(time: int, **given: Json) -> dict[str, Json]:
    return event("funding", time, **{"round": "seed", **given})


def hiring(time: int, **given: Json) -> dict[str, Json]:
    return event("hiring", time, **{"change": "opened", "function": "sales", **given})


def intent(time: int, **given: Json) -> dict[str, Json]:
    return event("intent", time, **{"topic": "crm", **given})


def tech(time: int, change: str, technology: str, **given: Json) -> dict[str, Json]:
    return event(
        "tech", time, **{"change": change, "technology": technology, "id": f"{change}-{time}", **given}
    )


def segments(traits: dict[str, Json] | None = None, /, **named: dict[str, Json]) -> dict[str, Json]:
    """A file of segments in the order given; each is its `when`, or a map of `when` and `hold`."""
    return {
        "version": 1,
        "traits": traits or {},
        "segments": [
            {
                "name": name.rstrip("_"),
                **(given if "when" in given else {"when": given}),
                "play": "any",
                "route": {"workflow": f"workflow-{name.rstrip('_')}"},
            }
            for name, given in named.items()
        ],
        "fallback": {"name": "out", "play": "any", "route": {"workflow": "workflow-out"}},
        "plays": {
            "any": {
                "message": {"pain": "A pain", "value_prop": "A gain", "proof_points": ["A proof"]},
                "channels": {"primary": "email"},
            }
        },
    }


def only(when: dict[str, Json], traits: dict[str, Json] | None = None, **hold: Json) -> dict[str, Json]:
    return segments(traits, in_={"when": when, "hold": hold} if hold else when)


def path(*steps: tuple[str, int], account: str = "acme.com") -> list[Expected]:
    """The changes of an account that goes through these segments at these instants."""
    places = [None, *(name for name, _ in steps)]
    return [Expected(account, came, *step) for came, step in zip(places, steps, strict=False)]


def case(
    name: str,
    file: dict[str, Json],
    events: list[dict[str, Json]],
    *steps: tuple[str, int],
    until: int | None = None,
) -> Case:
    return Case(name, file, events, until, path(*steps))


def judged(name: str, attributes: dict[str, Json], when: dict[str, Json], place: str) -> Case:
    """One snapshot, one condition: the account is placed `in` or `out` at once."""
    return case(name, only(when), [snapshot(day(0), **attributes)], (place, day(0)))


def traited(name: str, trait: dict[str, Json], test: Json, events: list[dict[str, Json]], place: str) -> Case:
    """One trait, one test of it, judged when the last event is known."""
    last = max(event["time"] for event in events)
    until = round((datetime.fromisoformat(last) - EPOCH).total_seconds() * 1000)
    first = min(event["time"] for event in events)
    # The fact that places the account comes with the last one, so that only the end counts.
    assert first == last or place in {"in", "out"}
    held = [{**event, "recordedtime": last} for event in events]
    return case(name, only({"value": test}, {"value": trait}), held, (place, until), until=until)


FUNDED = {"event": "funding"}
SMALL = snapshot(day(0), employees=10)

FACTS = [
    case(
        "an account is placed in the fallback when no segment is true",
        only(FUNDED),
        [SMALL],
        ("out", day(0)),
    ),
    case("an account is placed in a segment at once", only(FUNDED), [funding(day(1))], ("in", day(1))),
    case(
        "a fact counts only once it is known",
        only({**FUNDED, "within": "5d"}),
        [SMALL, funding(day(0), known=day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(5)),
    ),
    case(
        "a fact known only after its window closed never counts",
        only({**FUNDED, "within": "2d"}),
        [SMALL, funding(day(0), known=day(2))],
        ("out", day(0)),
    ),
    case(
        "a fact dated ahead starts to count when its time comes",
        only({**FUNDED, "within": "1d"}),
        [funding(day(3), known=day(0))],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(4)),
    ),
    case(
        "an account is placed when all that is known is a retraction",
        only({"not": FUNDED}),
        [funding(day(1), op="retract", record="never-seen")],
        ("in", day(1)),
    ),
    case(
        "times are cut to whole milliseconds",
        only(FUNDED),
        [funding(day(0), spelling="2024-01-01T00:00:00.000999Z")],
        ("in", day(0)),
    ),
    case(
        "times in another zone are the same instants",
        only(FUNDED),
        [funding(day(0), spelling="2024-01-01T02:00:00+02:00")],
        ("in", day(0)),
    ),
    case(
        "a newer revision replaces the older from its recordedtime on",
        only({**FUNDED, "where": {"round": "seed"}}),
        [funding(day(0), id="a"), funding(day(0), id="b", record="a", known=day(2), round="series_a")],
        ("in", day(0)),
        ("out", day(2)),
    ),
    case(
        "of revisions known at one instant the one with the greatest id stands",
        only({**FUNDED, "where": {"round": "seed"}}),
        [
            funding(day(0), id="10", record="r", round="series_a"),
            funding(day(0), id="9", record="r", round="seed"),
            funding(day(0), id="11", record="r", round="series_b"),
        ],
        ("in", day(0)),
    ),
    case(
        "a revision known before the one in force changes nothing when delivered after it",
        only({**FUNDED, "where": {"round": "seed"}}),
        [funding(day(0), id="b", record="a", known=day(2)), funding(day(0), id="a", round="series_a")],
        ("out", day(0)),
        ("in", day(2)),
    ),
    case(
        "a revision that moves a fact ahead ends the older before the newer begins",
        only(FUNDED),
        [funding(day(0), id="a"), funding(day(5), id="b", record="a", known=day(2))],
        ("in", day(0)),
        ("out", day(2)),
        ("in", day(5)),
    ),
    case(
        "a revision may make another kind of the fact",
        only(FUNDED),
        [funding(day(0), id="a"), hiring(day(0), id="b", record="a", known=day(2))],
        ("in", day(0)),
        ("out", day(2)),
    ),
    case(
        "a retraction removes a fact until a newer revision asserts it again",
        only(FUNDED),
        [
            funding(day(0), id="a"),
            funding(day(0), id="b", record="a", op="retract", known=day(1)),
            funding(day(0), id="c", record="a", known=day(3)),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(3)),
    ),
    case(
        "a retraction works from when it is known, though dated ahead",
        only(FUNDED),
        [funding(day(0), id="a"), funding(day(9), id="b", record="a", op="retract", known=day(1))],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "a retraction does not reach a record of another source",
        only(FUNDED),
        [
            funding(day(0), id="a"),
            funding(day(0), id="b", record="a", source="other", op="retract", known=day(1)),
        ],
        ("in", day(0)),
    ),
    case(
        "a retracted snapshot brings the older value back",
        only({"employees": {"gte": 50}}),
        [
            snapshot(day(0), id="a", employees=50),
            snapshot(day(1), id="b", employees=10),
            snapshot(day(1), id="c", record="b", op="retract", known=day(2)),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
    ),
    case(
        "a second delivery changes nothing, whatever it carries",
        only({**FUNDED, "where": {"round": "seed"}}),
        [
            funding(day(0), id="a"),
            funding(day(1), id="a", round="series_a"),
            funding(day(2), id="a", op="retract"),
        ],
        ("in", day(0)),
    ),
    case(
        "a second delivery is not counted twice",
        only({**FUNDED, "count": {"gte": 2}}),
        [funding(day(0), id="a"), funding(day(0), id="a")],
        ("out", day(0)),
    ),
    case(
        "the same id from another source is another fact",
        only({**FUNDED, "count": {"gte": 2}}),
        [funding(day(0), id="a"), funding(day(1), id="a", source="other")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    Case(
        "the same id about another account is another fact",
        only(FUNDED),
        [funding(day(0), id="a"), funding(day(1), id="a", account="zeta.io")],
        None,
        [*path(("in", day(0))), *path(("in", day(1)), account="zeta.io")],
    ),
    case(
        "all that is known at an instant is judged together",
        only({**FUNDED, "count": 2}),
        [
            funding(day(0), id="a"),
            funding(day(0), id="b"),
            funding(day(0), id="c", record="a", op="retract"),
            SMALL,
        ],
        ("out", day(0)),
    ),
    case(
        "facts delivered in any order give the same history",
        only({**FUNDED, "within": "1d"}),
        [funding(day(4)), SMALL, funding(day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(3)),
        ("in", day(4)),
        ("out", day(5)),
    ),
]

BIG = {"employees": {"gte": 50}}
ATTRIBUTES = [
    case(
        "an attribute has the value of the greatest time, not of the last to be known",
        only(BIG),
        [snapshot(day(2), employees=50), snapshot(day(1), employees=10, known=day(3))],
        ("in", day(2)),
    ),
    case(
        "of snapshots at one time the greatest id by code point decides",
        only(BIG),
        [snapshot(day(0), id="9", employees=50), snapshot(day(0), id="10", employees=10)],
        ("in", day(0)),
    ),
    case(
        "ids compare by code point, not by UTF-16 unit",
        only(BIG),
        [snapshot(day(0), id="😀", employees=50), snapshot(day(0), id="\uff5e", employees=10)],
        ("in", day(0)),
    ),
    case(
        "where ids tie, the source decides",
        only(BIG),
        [
            snapshot(day(0), id="a", source="two", employees=50),
            snapshot(day(0), id="a", source="one", employees=10),
        ],
        ("in", day(0)),
    ),
    case(
        "a snapshot is partial: it leaves the fields it does not carry as they are",
        only(BIG),
        [snapshot(day(0), employees=50), snapshot(day(1), industry="saas")],
        ("in", day(0)),
    ),
    case(
        "null says that the value is gone",
        only(BIG),
        [snapshot(day(0), employees=50), snapshot(day(1), employees=None)],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "a value that is gone does not exist",
        only({"employees": {"exists": False}}),
        [snapshot(day(0), employees=50), snapshot(day(1), employees=None)],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "a snapshot dated ahead counts when its time comes",
        only(BIG),
        [SMALL, snapshot(day(4), employees=50, known=day(1))],
        ("out", day(0)),
        ("in", day(4)),
    ),
    case(
        "a technology is added and removed",
        only({"technologies": {"has_any": ["dbt"]}}),
        [tech(day(0), "added", "dbt"), tech(day(1), "removed", "dbt")],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "technologies are missing before anything is said of them",
        only({"technologies": {"has_none": ["dbt"]}}),
        [SMALL, tech(day(1), "removed", "dbt")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "a removal of what was not there makes an empty set",
        only({"technologies": {"exists": True}}),
        [SMALL, tech(day(1), "removed", "dbt")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "a snapshot that carries technologies replaces the set",
        only({"technologies": {"has_any": ["dbt"]}}),
        [tech(day(0), "added", "dbt"), snapshot(day(1), technologies=["hubspot"])],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "a technology is added to what a snapshot said",
        only({"technologies": {"has_all": ["dbt", "hubspot"]}}),
        [snapshot(day(0), technologies=["hubspot"]), tech(day(1), "added", "dbt")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "null empties the set of technologies, which still exists",
        only({"technologies": {"has_none": ["dbt"], "exists": True}}),
        [tech(day(0), "added", "dbt"), snapshot(day(1), technologies=None)],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "what is said of technologies at one time applies in the order of id",
        only({"technologies": {"has_any": ["dbt"]}}),
        [tech(day(0), "added", "dbt", id="b"), tech(day(0), "removed", "dbt", id="a")],
        ("in", day(0)),
    ),
    case(
        "a tech fact known late applies at its time",
        only({"technologies": {"has_any": ["dbt"]}}),
        [snapshot(day(2), technologies=["hubspot"]), tech(day(1), "added", "dbt", known=day(3))],
        ("out", day(2)),
    ),
]

OPERATORS = [
    judged("a scalar is equality", {"industry": "saas"}, {"industry": "saas"}, "in"),
    judged("strings compare exactly", {"industry": "saas"}, {"industry": "SaaS"}, "out"),
    judged("a list is membership", {"industry": "saas"}, {"industry": ["fintech", "saas"]}, "in"),
    judged("a list without the value does not match", {"industry": "saas"}, {"industry": ["fintech"]}, "out"),
    judged("eq is equality", {"fit": "x"}, {"fit": {"eq": "x"}}, "in"),
    judged("ne is inequality", {"fit": "x"}, {"fit": {"ne": "y"}}, "in"),
    judged("ne of the same value is false", {"fit": "x"}, {"fit": {"ne": "x"}}, "out"),
    judged("ne of a missing value is unknown", {"employees": 1}, {"fit": {"ne": "x"}}, "out"),
    judged("in is membership", {"fit": "x"}, {"fit": {"in": ["x", "y"]}}, "in"),
    judged("not_in is its opposite", {"fit": "z"}, {"fit": {"not_in": ["x", "y"]}}, "in"),
    judged("not_in of a missing value is unknown", {"employees": 1}, {"fit": {"not_in": ["x"]}}, "out"),
    judged("gt leaves its bound out", {"employees": 50}, {"employees": {"gt": 50}}, "out"),
    judged("gte includes its bound", {"employees": 50}, {"employees": {"gte": 50}}, "in"),
    judged("lt leaves its bound out", {"employees": 50}, {"employees": {"lt": 50}}, "out"),
    judged("lte includes its bound", {"employees": 50}, {"employees": {"lte": 50}}, "in"),
    judged("between includes its low end", {"employees": 50}, {"employees": {"between": [50, 100]}}, "in"),
    judged("between includes its high end", {"employees": 100}, {"employees": {"between": [50, 100]}}, "in"),
    judged(
        "between leaves out what is above", {"employees": 101}, {"employees": {"between": [50, 100]}}, "out"
    ),
    judged("contains ignores case", {"name": "Acme Bank"}, {"name": {"contains": "BANK"}}, "in"),
    judged("matches searches anywhere", {"name": "Acme Bank"}, {"name": {"matches": "me B"}}, "in"),
    judged("matches can be anchored", {"name": "Acme Bank"}, {"name": {"matches": "^Bank$"}}, "out"),
    judged("matches minds case", {"name": "Acme Bank"}, {"name": {"matches": "bank"}}, "out"),
    judged("has_any asks for one of a list", {"tags": ["a", "b"]}, {"tags": {"has_any": ["b", "c"]}}, "in"),
    judged("has_any of none is false", {"tags": ["a", "b"]}, {"tags": {"has_any": ["c"]}}, "out"),
    judged("has_all asks for every one", {"tags": ["a", "b"]}, {"tags": {"has_all": ["b", "c"]}}, "out"),
    judged("has_none asks for no one", {"tags": ["a", "b"]}, {"tags": {"has_none": ["c"]}}, "in"),
    judged("exists is true of a value", {"fit": False}, {"fit": {"exists": True}}, "in"),
    judged("exists is false of a missing value", {"employees": 1}, {"fit": {"exists": True}}, "out"),
    judged("a map of operators must hold in all", {"fit": 5}, {"fit": {"gte": 1, "lt": 5}}, "out"),
    judged("a map of fields must hold in all", {"fit": 5, "tier": "x"}, {"fit": 5, "tier": "y"}, "out"),
    judged("a map of fields that all hold is true", {"fit": 5, "tier": "x"}, {"fit": 5, "tier": "x"}, "in"),
    judged("1 and 1.0 are equal", {"fit": 1.0}, {"fit": 1}, "in"),
    judged("a string under gte is unknown", {"fit": "9"}, {"not": {"fit": {"gte": 10}}}, "out"),
    judged("a bool is no number under gte", {"fit": True}, {"not": {"fit": {"gte": 2}}}, "out"),
    judged("a bool does not differ from a number", {"fit": True}, {"fit": {"ne": 2}}, "out"),
    judged("a number does not differ from a string", {"fit": 1}, {"fit": {"ne": "1"}}, "out"),
    judged("a scalar under has_none is unknown", {"fit": "a"}, {"fit": {"has_none": ["b"]}}, "out"),
    judged("a list under ne is unknown", {"tags": ["a"]}, {"tags": {"ne": "a"}}, "out"),
    judged("a number under contains is unknown", {"fit": 12}, {"not": {"fit": {"contains": "3"}}}, "out"),
    judged("a number under matches is unknown", {"fit": 12}, {"not": {"fit": {"matches": "3"}}}, "out"),
    judged("a list of other types is unknown", {"fit": 1}, {"fit": {"not_in": ["a", "b"]}}, "out"),
    judged(
        "one element of the value's type makes a list known", {"fit": 1}, {"fit": {"not_in": ["a", 2]}}, "in"
    ),
]

UNKNOWN = {"fit": {"gte": 1}}
TRUE, FALSE = {"employees": 10}, {"employees": 11}
STATE = {"employees": 10}
LOGIC = [
    judged("unknown does not match", STATE, UNKNOWN, "out"),
    judged("not of unknown is unknown", STATE, {"not": UNKNOWN}, "out"),
    judged("not of false is true", STATE, {"not": FALSE}, "in"),
    judged("all of true and unknown is unknown", STATE, {"not": {"all": [TRUE, UNKNOWN]}}, "out"),
    judged("all of false and unknown is false", STATE, {"not": {"all": [UNKNOWN, FALSE]}}, "in"),
    judged("any of true and unknown is true", STATE, {"any": [UNKNOWN, TRUE]}, "in"),
    judged("any of false and unknown is unknown", STATE, {"not": {"any": [FALSE, UNKNOWN]}}, "out"),
    judged(
        "fields and groups in one map must all hold", STATE, {**TRUE, "not": FALSE, "any": [FALSE]}, "out"
    ),
    judged("a false field beside an unknown one is false", STATE, {"not": {**FALSE, **UNKNOWN}}, "in"),
    case(
        "an event beside a field must hold with it",
        only({"event": "funding", "within": "2d", "employees": 10}),
        [SMALL, funding(day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
]

PAIR = {"sequence": [{"event": "funding"}, {"event": "hiring"}], "within": "3d"}
GAPPED = {**PAIR, "gap": "1d"}
EVENTS = [
    case(
        "a window closes a whole window after the fact's time",
        only({**FUNDED, "within": "2d"}),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(2)),
    ),
    case("without a window a fact counts for ever", only(FUNDED), [funding(day(0))], ("in", day(0))),
    case(
        "a fact that happens as the window closes keeps it open",
        only({**FUNDED, "within": "2d"}),
        [funding(day(0)), funding(day(2))],
        ("in", day(0)),
        ("out", day(4)),
    ),
    case(
        "a fact a millisecond too late leaves a gap of a millisecond",
        only({**FUNDED, "within": "2d"}),
        [funding(day(0)), funding(day(2) + 1)],
        ("in", day(0)),
        ("out", day(2)),
        ("in", day(2) + 1),
        ("out", day(4) + 1),
    ),
    case(
        "ago opens after its first duration and closes after its second",
        only({**FUNDED, "ago": ["1d", "3d"]}),
        [funding(day(0))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
    case(
        "within and ago together must both hold",
        only({**FUNDED, "ago": ["1d", "5d"], "within": "3d"}),
        [funding(day(0))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
    case(
        "not of an event becomes true when its window closes",
        only({"not": {**FUNDED, "within": "2d"}}),
        [funding(day(0))],
        ("out", day(0)),
        ("in", day(2)),
    ),
    case(
        "count asks how many facts match",
        only({**FUNDED, "within": "3d", "count": {"gte": 2}}),
        [funding(day(0)), funding(day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
    case(
        "count may ask for few",
        only({**FUNDED, "within": "3d", "count": {"lte": 1}}),
        [funding(day(0)), funding(day(1))],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(3)),
    ),
    case(
        "count may be a scalar",
        only({**FUNDED, "count": 1}),
        [funding(day(0)), funding(day(1))],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "count may be a list",
        only({**FUNDED, "count": [1, 3]}),
        [funding(day(0)), funding(day(1)), funding(day(2))],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
    ),
    case(
        "where tests the fact's own data",
        only({**FUNDED, "where": {"round": ["series_a"]}}),
        [funding(day(0)), funding(day(1), round="series_a")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "where asks all its fields of one fact",
        only({"event": "hiring", "where": {"function": "sales", "title": "SDR"}}),
        [hiring(day(0), title="AE"), hiring(day(1), function="marketing", title="SDR")],
        ("out", day(0)),
    ),
    case(
        "a fact that lacks the field does not match, even for ne",
        only({"event": "hiring", "where": {"fit": {"ne": 1}}}),
        [hiring(day(0))],
        ("out", day(0)),
    ),
    case(
        "a fact that lacks the field matches exists: false",
        only({"event": "hiring", "where": {"fit": {"exists": False}}}),
        [hiring(day(0), fit=1), hiring(day(1))],
        ("out", day(0)),
        ("in", day(1)),
    ),
    case(
        "null in a fact's data is as the field missing",
        only({"event": "hiring", "where": {"fit": {"exists": False}}}),
        [hiring(day(0), fit=None)],
        ("in", day(0)),
    ),
    case(
        "an event test is never unknown",
        only({"not": {"event": "hiring", "where": {"fit": {"gte": 1}}}}),
        [hiring(day(0), fit="high")],
        ("in", day(0)),
    ),
    case(
        "a sequence is true while both its facts are in the window",
        only(PAIR),
        [funding(day(0)), hiring(day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    case("a sequence minds the order", only(PAIR), [hiring(day(0)), funding(day(1))], ("out", day(0))),
    case(
        "a sequence wants strictly increasing times",
        only(PAIR),
        [funding(day(0)), hiring(day(0))],
        ("out", day(0)),
    ),
    case(
        "a millisecond between steps is enough",
        only(PAIR),
        [funding(day(0)), hiring(day(0) + 1)],
        ("out", day(0)),
        ("in", day(0) + 1),
        ("out", day(3)),
    ),
    case(
        "neighbours may be the whole gap apart",
        only(GAPPED),
        [funding(day(0)), hiring(day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
    case(
        "neighbours may not be more than the gap apart",
        only(GAPPED),
        [funding(day(0)), hiring(day(1) + 1)],
        ("out", day(0)),
    ),
    case(
        "a sequence may take any of the facts that match a step",
        only(GAPPED),
        [funding(day(0)), funding(day(1)), hiring(day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(4)),
    ),
    case(
        "the best neighbour of the next step need not be the best of the last",
        only(
            {
                "sequence": [{"event": "funding"}, {"event": "hiring"}, {"event": "intent"}],
                "within": "5d",
                "gap": "1d",
            }
        ),
        [funding(day(0)), hiring(day(1)), hiring(day(1.5)), intent(day(2.25))],
        ("out", day(0)),
    ),
    case(
        "a sequence goes by the times of its facts, not by when they were known",
        only(PAIR),
        [hiring(day(1)), funding(day(0), known=day(2))],
        ("out", day(1)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    case(
        "one fact is not two steps",
        only({"sequence": [{"event": "funding"}, {"event": "funding"}], "within": "3d"}),
        [funding(day(0)), funding(day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
    case(
        "the steps of a sequence take where",
        only(
            {
                "sequence": [{"event": "funding", "where": {"round": "series_a"}}, {"event": "hiring"}],
                "within": "3d",
            }
        ),
        [funding(day(0)), hiring(day(1))],
        ("out", day(0)),
    ),
]

SEGMENTS = [
    case(
        "the first segment that is true takes the account",
        segments(first={**FUNDED, "within": "2d"}, second=FUNDED),
        [funding(day(0))],
        ("first", day(0)),
        ("second", day(2)),
    ),
    case(
        "a higher segment takes the account from a lower one",
        segments(first={"event": "hiring"}, second=FUNDED),
        [funding(day(0)), hiring(day(1))],
        ("second", day(0)),
        ("first", day(1)),
    ),
    case(
        "a reference has the value of the other's when, whatever its priority",
        segments(first=FUNDED, second={"event": "hiring"}, third={"all": [{"segment": "second"}, FUNDED]}),
        [hiring(day(0)), funding(day(1))],
        ("second", day(0)),
        ("first", day(1)),
    ),
    case(
        "a segment may refer to a lower one",
        segments(first={"all": [{"segment": "second"}, {"event": "hiring"}]}, second=FUNDED),
        [funding(day(0)), hiring(day(1))],
        ("second", day(0)),
        ("first", day(1)),
    ),
    case(
        "a reference to what is unknown is unknown",
        segments(first={"fit": 1}, second={"not": {"segment": "first"}}),
        [SMALL],
        ("out", day(0)),
    ),
    case(
        "a reference ignores the other's hold",
        segments(
            first={"not": {"segment": "second"}, "event": "funding"},
            second={"when": {**FUNDED, "within": "1d"}, "hold": {"min_dwell": "9d"}},
        ),
        [funding(day(0))],
        ("second", day(0)),
        ("first", day(1)),
    ),
    case(
        "an instant without any change of segment is no change",
        segments(first={**FUNDED, "within": "2d"}),
        [funding(day(0)), funding(day(1))],
        ("first", day(0)),
        ("out", day(3)),
    ),
    Case(
        "accounts do not touch each other, and changes come in the order of time",
        only({**FUNDED, "within": "2d"}),
        [funding(day(0)), funding(day(1), account="zeta.io"), funding(day(0), account="b.co")],
        None,
        sorted(
            [
                *path(("in", day(0)), ("out", day(2))),
                *path(("in", day(1)), ("out", day(3)), account="zeta.io"),
                *path(("in", day(0)), ("out", day(2)), account="b.co"),
            ],
            key=lambda change: (change.effective_at, change.account),
        ),
    ),
    case(
        "until includes its instant",
        only({**FUNDED, "within": "2d"}),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(2)),
        until=day(2),
    ),
    case(
        "until leaves out what comes after it",
        only({**FUNDED, "within": "2d"}),
        [funding(day(0))],
        ("in", day(0)),
        until=day(2) - 1,
    ),
    case("nothing is known before the first fact", only(FUNDED), [funding(day(1))], until=day(1) - 1),
]

SCORES = [intent(day(0), score=4), intent(day(1), score=1), intent(day(2), score=3), intent(day(3)), SMALL]
NONE_YET = [SMALL]


def about(trait: str, **rest: Json) -> dict[str, Json]:
    return {trait: "intent", **({} if trait == "count" else {"field": "score"}), **rest}


TRAITS = [
    traited("count is the number of matching facts", about("count"), 4, SCORES, "in"),
    traited("count of nothing is 0", about("count"), 0, NONE_YET, "in"),
    traited("a trait takes where", about("count", where={"score": {"gte": 3}}), 2, SCORES, "in"),
    traited("a trait takes within", about("count", within="3d"), 3, SCORES, "in"),
    traited("a trait takes ago", about("count", ago=["1d", "3d"]), 2, SCORES, "in"),
    traited("sum adds a field up", about("sum"), 8, SCORES, "in"),
    traited("sum of nothing is 0", about("sum"), 0, NONE_YET, "in"),
    traited(
        "distinct counts the values", about("distinct"), 3, [*SCORES, intent(day(3), id="x", score=3.0)], "in"
    ),
    traited("distinct of nothing is 0", about("distinct"), 0, NONE_YET, "in"),
    traited(
        "distinct tells 1, true and a string apart",
        {"distinct": "intent", "field": "fit"},
        3,
        [intent(day(n), fit=fit) for n, fit in enumerate([1, True, "1", 1.0, None])],
        "in",
    ),
    traited("min is the least", about("min"), 1, SCORES, "in"),
    traited("max is the greatest", about("max"), 4, SCORES, "in"),
    traited(
        "avg is over the facts that have the field", about("avg"), {"between": [2.66, 2.67]}, SCORES, "in"
    ),
    traited("min of nothing is missing", about("min"), {"exists": False}, NONE_YET, "in"),
    traited("max of nothing is missing", about("max"), {"exists": False}, [intent(day(0))], "in"),
    traited("avg of nothing is missing", about("avg"), {"exists": False}, NONE_YET, "in"),
    traited(
        "facts without a numeric field are left out of sum",
        {"sum": "intent", "field": "fit"},
        3,
        [intent(day(n), fit=fit) for n, fit in enumerate([1, True, "5", 2, None])],
        "in",
    ),
    traited(
        "facts without a numeric field are left out of avg",
        {"avg": "intent", "field": "fit"},
        1.5,
        [intent(day(n), fit=fit) for n, fit in enumerate([1, True, "5", 2, None])],
        "in",
    ),
    traited("latest is of the greatest time that has the field", about("latest"), 3, SCORES, "in"),
    traited("earliest is of the least time", about("earliest"), 4, SCORES, "in"),
    traited("latest of nothing is missing", about("latest"), {"exists": False}, NONE_YET, "in"),
    traited(
        "of equal times latest takes the greatest id",
        about("latest"),
        2,
        [intent(day(0), id="9", score=2), intent(day(0), id="10", score=1)],
        "in",
    ),
    traited(
        "of equal times earliest takes the least id",
        about("earliest"),
        1,
        [intent(day(0), id="9", score=2), intent(day(0), id="10", score=1)],
        "in",
    ),
    traited(
        "of equal ids latest goes by the source",
        about("latest"),
        2,
        [intent(day(0), id="a", source="two", score=2), intent(day(0), id="a", source="one", score=1)],
        "in",
    ),
    traited(
        "latest may be a string", {"latest": "funding", "field": "round"}, "seed", [funding(day(0))], "in"
    ),
    case(
        "a missing trait is unknown",
        only({"not": {"value": {"gte": 1}}}, {"value": about("max", within="1d")}),
        [intent(day(0), score=0)],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "a trait falls when a window closes",
        only({"value": {"gte": 3}}, {"value": about("sum", within="2d")}),
        [intent(day(0), score=2), intent(day(1), score=1)],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
    traited(
        "ratio divides",
        {"ratio": ["revenue_usd", "employees"]},
        2.5,
        [snapshot(day(0), revenue_usd=25, employees=10)],
        "in",
    ),
    traited(
        "ratio by 0 is missing",
        {"ratio": ["revenue_usd", "employees"]},
        {"exists": False},
        [snapshot(day(0), revenue_usd=25, employees=0)],
        "in",
    ),
    traited(
        "ratio of a missing value is missing",
        {"ratio": ["revenue_usd", "employees"]},
        {"exists": False},
        [snapshot(day(0), employees=10)],
        "in",
    ),
    case(
        "ratio takes traits",
        only({"share": 0.5}, {"value": about("count"), "share": {"ratio": ["value", "employees"]}}),
        [snapshot(day(0), employees=4), intent(day(1)), intent(day(2))],
        ("out", day(0)),
        ("in", day(2)),
    ),
]

GROWN = {"headcount": {"growth": "employees", "over": "3d"}}
HALVED = {"heat": {"decay": "intent", "field": "score", "half_life": "1d"}}
DAY = 24 * HOUR
MOVING = [
    case(
        "growth compares with the value a while ago, and moves as that changes",
        only({"headcount": {"gte": 0.5}}, GROWN),
        [snapshot(day(0), employees=10), snapshot(day(1), employees=15)],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(4)),
    ),
    case(
        "growth is missing until there is a value from a while ago",
        only({"headcount": {"exists": True}}, GROWN),
        [snapshot(day(0), employees=10)],
        ("out", day(0)),
        ("in", day(3)),
    ),
    case(
        "growth from 0 is missing",
        only({"headcount": {"exists": True}}, GROWN),
        [snapshot(day(0), employees=0), snapshot(day(1), employees=5)],
        ("out", day(0)),
        ("in", day(4)),
    ),
    case(
        "growth divides by the size of the older value",
        only({"change": {"eq": 1.5}}, {"change": {"growth": "margin", "over": "3d"}}),
        [snapshot(day(0), margin=-10), snapshot(day(1), margin=5)],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(4)),
    ),
    case(
        "growth takes the value a while ago from what is known now",
        only({"headcount": {"gte": 1}}, GROWN),
        [snapshot(day(4), employees=20), snapshot(day(0), employees=10, known=day(5))],
        ("out", day(4)),
        ("in", day(5)),
        ("out", day(7)),
    ),
    case(
        "a decayed sum halves with each half-life",
        only({"heat": {"gt": 1}}, HALVED),
        [intent(day(0), score=4)],
        ("in", day(0)),
        ("out", day(2)),
    ),
    case(
        "a decayed sum that reaches a bound included passes it a millisecond later",
        only({"heat": {"gte": 1}}, HALVED),
        [intent(day(0), score=4)],
        ("in", day(0)),
        ("out", day(2) + 1),
    ),
    case(
        "a decayed sum that is between its bounds only for an instant is so for that instant",
        only({"heat": {"between": [1, 1]}}, HALVED),
        [intent(day(0), score=4)],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(2) + 1),
    ),
    case(
        # 86,400,000 ms * log2(4 / 3) = 35,859,239.94 ms
        "a crossing between milliseconds takes effect at the first one after it",
        only({"heat": {"lt": 3}}, HALVED),
        [intent(day(0), score=4)],
        ("out", day(0)),
        ("in", day(0) + 35_859_240),
    ),
    case(
        "decayed facts add up",
        only({"heat": {"gt": 2}}, HALVED),
        [intent(day(0), score=2), intent(day(1), score=2)],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(1) + 50_540_761),  # 86,400,000 ms * log2(3 / 2) = 50,540,760.06 ms
    ),
    case(
        "a fact without the decayed field, or with null, weighs 1",
        only({"heat": {"gte": 2}}, HALVED),
        [intent(day(0), id="a"), intent(day(0), id="b", score=None)],
        ("in", day(0)),
        ("out", day(0) + 1),
    ),
    case(
        "what is not a number is left out of a decay",
        only({"heat": {"gt": 1}}, {"heat": {"decay": "intent", "field": "fit", "half_life": "1d"}}),
        [intent(day(0), id="a", fit="9"), intent(day(0), id="b", fit=True), intent(day(0), id="c", fit=1)],
        ("out", day(0)),
    ),
    case(
        "a decay of nothing is 0",
        only({"heat": {"between": [0, 0]}}, HALVED),
        [SMALL],
        ("in", day(0)),
    ),
    case(
        "a decayed sum that is left never gets to 0",
        only({"heat": {"gt": 0}}, HALVED),
        [intent(day(0), score=1)],
        ("in", day(0)),
    ),
    case(
        "a decayed sum below 0 rises",
        only({"heat": {"gt": -1}}, HALVED),
        [intent(day(0), score=-4)],
        ("out", day(0)),
        ("in", day(2) + 1),
    ),
    case(
        "what cancels out stays cancelled",
        only({"heat": {"gt": 0}}, HALVED),
        [intent(day(0), score=4), intent(day(1), score=-2)],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "a decay takes a window, which may close before the crossing",
        only({"heat": {"gt": 1}}, {"heat": {**HALVED["heat"], "within": "1d"}}),
        [intent(day(0), score=4)],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "a decay counts from the fact's time, though known later",
        only({"heat": {"gt": 1}}, HALVED),
        [SMALL, intent(day(0), score=4, known=day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
]

BRIEF = {**FUNDED, "within": "2d"}
HIRED = {"event": "hiring"}
HOLD = [
    case(
        "min_dwell keeps an account though the when is no longer true",
        only(BRIEF, min_dwell="5d"),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(5)),
    ),
    case(
        "after min_dwell the when decides",
        only(BRIEF, min_dwell="1d"),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(2)),
    ),
    case(
        "min_dwell runs from the entry, not from the fact that prolonged the stay",
        only(BRIEF, min_dwell="4d"),
        [funding(day(0)), funding(day(1))],
        ("in", day(0)),
        ("out", day(4)),
    ),
    case(
        "a higher segment takes the account before min_dwell is over",
        segments(first=HIRED, second={"when": BRIEF, "hold": {"min_dwell": "5d"}}),
        [funding(day(0)), hiring(day(1))],
        ("second", day(0)),
        ("first", day(1)),
    ),
    case(
        "a lower segment does not take the account before min_dwell is over",
        segments(first={"when": BRIEF, "hold": {"min_dwell": "5d"}}, second=HIRED),
        [funding(day(0)), hiring(day(1))],
        ("first", day(0)),
        ("second", day(5)),
    ),
    case(
        "cooldown keeps the segment from taking the account again, until it is over",
        only(BRIEF, cooldown="3d"),
        [funding(day(0)), funding(day(4))],
        ("in", day(0)),
        ("out", day(2)),
        ("in", day(5)),
        ("out", day(6)),
    ),
    case(
        "a when that is over before the cooldown never takes the account",
        only(BRIEF, cooldown="5d"),
        [funding(day(0)), funding(day(4))],
        ("in", day(0)),
        ("out", day(2)),
    ),
    case(
        "cooldown does not end a stay",
        only(BRIEF, cooldown="3d"),
        [funding(day(0)), funding(day(1))],
        ("in", day(0)),
        ("out", day(3)),
    ),
    case(
        "leaving for a higher segment starts the cooldown too",
        segments(
            first={"event": "hiring", "within": "1d"},
            second={"when": FUNDED, "hold": {"cooldown": "3d"}},
        ),
        [funding(day(0)), hiring(day(1))],
        ("second", day(0)),
        ("first", day(1)),
        ("out", day(2)),
        ("second", day(4)),
    ),
    case(
        "cooldown runs from the last time the account left",
        only({**FUNDED, "within": "1d"}, cooldown="2d"),
        [funding(day(0)), funding(day(3)), funding(day(5))],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(3)),
        ("out", day(4)),
    ),
    case(
        "exit_when keeps the account until it is true, whatever the when says",
        only(BRIEF, exit_when=HIRED),
        [funding(day(0)), hiring(day(7))],
        ("in", day(0)),
        ("out", day(7)),
    ),
    case(
        "exit_when ends the stay though the when is true",
        only(FUNDED, exit_when=HIRED),
        [funding(day(0)), hiring(day(1))],
        ("in", day(0)),
        ("out", day(1)),
    ),
    case(
        "while exit_when is true the segment takes no account",
        only(FUNDED, exit_when={**HIRED, "within": "3d"}),
        [hiring(day(0)), funding(day(1))],
        ("out", day(0)),
        ("in", day(3)),
    ),
    case(
        "an unknown exit_when neither ends a stay nor keeps an account out",
        only(BRIEF, exit_when={"fit": 1}),
        [funding(day(0))],
        ("in", day(0)),
    ),
    case(
        "min_dwell goes before exit_when",
        only(FUNDED, min_dwell="3d", exit_when=HIRED),
        [funding(day(0)), hiring(day(1))],
        ("in", day(0)),
        ("out", day(3)),
    ),
    case(
        "an exit_when that was true only during min_dwell does not end the stay",
        only(BRIEF, min_dwell="5d", exit_when={**HIRED, "within": "1d"}),
        [funding(day(0)), hiring(day(1)), hiring(day(6))],
        ("in", day(0)),
        ("out", day(6)),
    ),
    case(
        "a test for true and one for 1 in the same file are two tests",
        segments(first={"fit": True}, second={"fit": 1}),
        [snapshot(day(0), fit=1), snapshot(day(1), fit=True), snapshot(day(2), fit=0)],
        ("second", day(0)),
        ("first", day(1)),
        ("out", day(2)),
    ),
    case(
        "a higher segment takes the account though exit_when is not true",
        segments(first=HIRED, second={"when": BRIEF, "hold": {"exit_when": {"fit": 1}}}),
        [funding(day(0)), hiring(day(4))],
        ("second", day(0)),
        ("first", day(4)),
    ),
    case(
        "an account that comes back dwells again from its new entry",
        only({**FUNDED, "within": "1d"}, min_dwell="2d"),
        [funding(day(0)), funding(day(3))],
        ("in", day(0)),
        ("out", day(2)),
        ("in", day(3)),
        ("out", day(5)),
    ),
    case(
        "a retraction does not end the dwell",
        only(FUNDED, min_dwell="2d"),
        [funding(day(0), id="a"), funding(day(0), id="b", record="a", op="retract", known=day(1))],
        ("in", day(0)),
        ("out", day(2)),
    ),
]

CASES = [*FACTS, *ATTRIBUTES, *OPERATORS, *LOGIC, *EVENTS, *SEGMENTS, *TRAITS, *MOVING, *HOLD]
