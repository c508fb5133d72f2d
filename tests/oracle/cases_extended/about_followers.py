"""What is not followed by another fact."""

from tests.oracle.cases import Json, day, event, funding, hiring

from .builders import engagement, extended, when

ASKED = {"event": "engagement", "where": {"action": "demo_request"}}
MET = {"event": "engagement", "where": {"action": "meeting"}}
WAITING = {**ASKED, "not_followed_by": MET}


def demo(time: int, **given: Json) -> Json:
    return engagement(time, "demo_request", **given)


def meeting(time: int, **given: Json) -> Json:
    return engagement(time, "meeting", **given)


FOLLOWERS = [
    extended(
        "a demo was asked for, and no meeting since",
        when(WAITING),
        [demo(day(1)), meeting(day(3)), demo(day(10))],
        ("in", day(1)),
        ("out", day(3)),
        ("in", day(10)),
    ),
    extended(
        "what happens at the same time does not follow",
        when(WAITING),
        [meeting(day(1), id="z"), demo(day(1), id="a"), meeting(day(1) + 1, id="y")],
        ("in", day(1)),
        ("out", day(1) + 1),
    ),
    extended(
        "followers are looked for without regard to within",
        when({**WAITING, "within": "2d"}),
        [demo(day(0)), meeting(day(1)), demo(day(1)), demo(day(9))],
        ("in", day(0)),
        ("out", day(3)),
        ("in", day(9)),
        ("out", day(11)),
    ),
    extended(
        "followers are looked for without regard to ago",
        when({**WAITING, "ago": ["3d", "9d"]}),
        [demo(day(0)), demo(day(1)), meeting(day(2)), demo(day(2))],
        ("out", day(0)),
        ("in", day(5)),
        ("out", day(11)),
    ),
    extended(
        "a follower dated ahead follows when its time comes",
        when(WAITING),
        [demo(day(0)), meeting(day(4), known=day(1))],
        ("in", day(0)),
        ("out", day(4)),
    ),
    extended(
        "a follower counts once it is known, until it is retracted",
        when(WAITING),
        [
            demo(day(0)),
            meeting(day(1), id="m", known=day(3)),
            meeting(day(1), id="n", record="m", op="retract", known=day(5)),
        ],
        ("in", day(0)),
        ("out", day(3)),
        ("in", day(5)),
    ),
    extended(
        "a follower must match its where",
        when(
            {
                "event": "funding",
                "not_followed_by": {"event": "hiring", "where": {"seniority": {"ne": "junior"}}},
            }
        ),
        [
            funding(day(0)),
            hiring(day(1)),
            hiring(day(2), seniority="junior"),
            hiring(day(3), seniority="senior"),
        ],
        ("in", day(0)),
        ("out", day(3)),
    ),
    extended(
        "without a where any fact of the kind follows",
        when({"event": "funding", "not_followed_by": {"event": "hiring"}}),
        [funding(day(0)), hiring(day(1))],
        ("in", day(0)),
        ("out", day(1)),
    ),
    extended(
        "count counts those that are not followed",
        when({**ASKED, "not_followed_by": MET, "count": {"gte": 2}}),
        [demo(day(0)), demo(day(1)), meeting(day(2)), demo(day(3)), demo(day(4))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
        ("in", day(4)),
    ),
    extended(
        "earlier ones are followed though the latest is not",
        when({**ASKED, "not_followed_by": MET, "count": 1}),
        [demo(day(0)), meeting(day(1)), demo(day(1)), demo(day(2))],
        ("in", day(0)),
        ("out", day(2)),
    ),
    extended(
        "a kind that follows itself leaves the latest",
        when(
            {"event": "funding", "not_followed_by": {"event": "funding"}, "count": 2},
        ),
        [funding(day(0), id="a"), funding(day(1), id="b"), funding(day(1), id="c"), funding(day(2), id="d")],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
    extended(
        "a trait over facts leaves out what is followed",
        when(
            {"open_amount": {"gte": 10}},
            {
                "open_amount": {
                    "sum": "funding",
                    "field": "amount_usd",
                    "not_followed_by": {"event": "hiring"},
                }
            },
        ),
        [
            funding(day(0), amount_usd=10),
            hiring(day(1)),
            funding(day(2), amount_usd=4),
            funding(day(3), amount_usd=6),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(3)),
    ),
    extended(
        "a decayed sum leaves out what is followed",
        when(
            {"heat": {"gte": 1}},
            {"heat": {"decay": "intent", "half_life": "9d", "not_followed_by": {"event": "hiring"}}},
        ),
        [event("intent", day(0)), hiring(day(0), id="h"), hiring(day(1))],
        ("in", day(0)),
        ("out", day(0) + 1),
    ),
    extended(
        "the latest is that of those that are not followed",
        when(
            {"waiting_since": {"within_last": "9d"}},
            {
                "waiting_since": {
                    "latest": "engagement",
                    "field": "time",
                    **{k: v for k, v in WAITING.items() if k != "event"},
                }
            },
        ),
        [demo(day(0)), meeting(day(1)), demo(day(2))],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
        ("out", day(11)),
    ),
]
