"""Drafts and scores."""

from tests.oracle.cases import Json, day, funding, hiring, intent, segments, snapshot

from .builders import extended, when


def drafted(name: str, **named: Json) -> Json:
    """A file of segments, one of which is a draft."""
    file = segments(**named)
    for segment in file["segments"]:
        if segment["name"] == name:
            segment |= {"status": "draft", "tags": ["outbound"], "target": 20}
    return file


DRAFTS = [
    extended(
        "a draft takes nobody, and keeps no lower segment from taking",
        drafted("first", first={"event": "funding"}, second={"event": "funding", "within": "2d"}),
        [funding(day(0))],
        ("second", day(0)),
        ("out", day(2)),
    ),
    extended(
        "a draft may stand in segment",
        drafted("first", first={"event": "funding", "within": "2d"}, second={"not": {"segment": "first"}}),
        [funding(day(0))],
        ("out", day(0)),
        ("second", day(2)),
    ),
    extended(
        "the hold of a draft holds nobody",
        drafted(
            "first",
            first={"when": {"event": "funding"}, "hold": {"min_dwell": "9d"}},
            second={"event": "hiring"},
        ),
        [funding(day(0)), hiring(day(1))],
        ("out", day(0)),
        ("second", day(1)),
    ),
]


def scored(test: Json, *terms: Json, **more: Json) -> Json:
    """A file that tests a score of these terms, which are pairs of a condition and points."""
    made = [{"when": condition, "points": points} for condition, points in terms]
    return when({"readiness": test}, {"readiness": {"score": made}, **more.pop("traits", {})}, **more)


FUNDED = {"event": "funding", "within": "5d"}
HIRED = {"event": "hiring", "within": "5d"}
SCORES = [
    extended(
        "a score is the sum of the points of what is true",
        scored({"gte": 15}, (FUNDED, 10), (HIRED, 5)),
        [funding(day(0)), hiring(day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(5)),
    ),
    extended(
        "what is unknown gives nothing, and no unknown score",
        scored({"between": [10, 10]}, (FUNDED, 10), ({"employees": {"gte": 5}}, 7), ({"not": {"fit": 1}}, 3)),
        [funding(day(0)), snapshot(day(1), employees=5)],
        ("in", day(0)),
        ("out", day(1)),
    ),
    extended(
        "a score of nothing is 0, which is known",
        scored({"eq": 0, "exists": True}, (FUNDED, 10)),
        [snapshot(day(0), employees=1), funding(day(1))],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(6)),
    ),
    extended(
        "what is false takes nothing away",
        scored({"gte": 5}, (FUNDED, 5), (HIRED, 5)),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(5)),
    ),
    extended(
        "points may be below zero, and fractions",
        scored({"gte": 2.5}, (FUNDED, 2.5), (HIRED, -1)),
        [funding(day(0)), hiring(day(1))],
        ("in", day(0)),
        ("out", day(1)),
    ),
    extended(
        "a term may name a condition, a list, a trait and another score",
        scored(
            {"gte": 10},
            ({"condition": "fit"}, 4),
            ({"industry": "$good"}, 3),
            ({"openings": {"gte": 2}}, 2),
            ({"base": {"gte": 1}}, 1),
            traits={
                "openings": {"count": "hiring", "within": "3d"},
                "base": {"score": [{"when": FUNDED, "points": 1}]},
            },
            conditions={"fit": {"employees": {"gte": 5}}},
            lists={"good": ["saas"]},
        ),
        [snapshot(day(0), employees=5, industry="saas"), hiring(day(0)), hiring(day(1)), funding(day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "a score follows a decayed sum of its terms",
        scored(
            {"gte": 10},
            ({"heat": {"gte": 1}}, 10),
            traits={"heat": {"decay": "intent", "field": "score", "half_life": "1d"}},
        ),
        [intent(day(0), score=4)],
        ("in", day(0)),
        ("out", day(2) + 1),
    ),
    extended(
        "a condition by its name follows a decayed sum",
        when(
            {"condition": "hot"},
            {"heat": {"decay": "intent", "field": "score", "half_life": "1d"}},
            conditions={"hot": {"heat": {"gte": 1}}},
        ),
        [intent(day(0), score=4)],
        ("in", day(0)),
        ("out", day(2) + 1),
    ),
    extended(
        "a score follows a date of its terms",
        scored({"gte": 10}, ({"renewal_date": {"within_next": "2d"}}, 10)),
        [snapshot(day(0), renewal_date="2024-01-06")],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(5)),
    ),
    extended(
        "a ratio may divide a score",
        when(
            {"each": {"gte": 2}},
            {
                "readiness": {"score": [{"when": FUNDED, "points": 10}]},
                "each": {"ratio": ["readiness", "employees"]},
            },
        ),
        [snapshot(day(0), employees=5), funding(day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(6)),
    ),
    extended(
        "two terms with one condition give both their points",
        scored({"eq": 8}, (FUNDED, 5), (FUNDED, 3)),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(5)),
    ),
]
