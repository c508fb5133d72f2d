"""What is open, and what happens at one time."""

from tests.oracle.cases import Json, day, funding, hiring, snapshot, tech

from .builders import engagement, extended, when


def job(time: int, change: str, name: Json = "j1", **given: Json) -> Json:
    return hiring(time, change=change, id=given.pop("id", f"{change}-{name}-{time}"), job=name, **given)


OPEN_THINGS = [
    extended(
        "a job is open until it is closed, and again when it is reopened",
        when({"open": "hiring"}),
        [job(day(0), "opened"), job(day(1), "closed"), job(day(2), "reopened"), job(day(3), "closed")],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "count counts the groups that are open",
        when({"open": "hiring", "count": {"gte": 2}}),
        [job(day(0), "opened"), job(day(1), "opened"), job(day(2), "opened", "j2"), job(day(3), "closed")],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "nothing open is none, which is known",
        when({"open": "hiring", "count": 0}),
        [snapshot(day(0), employees=10), job(day(1), "opened"), job(day(2), "closed")],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
    ),
    extended(
        "a fact without the field is left out, as is one whose field is no text",
        when({"open": "engagement", "by": "thread"}),
        [
            engagement(day(0), "x", change="opened"),
            engagement(day(1), "x", change="opened", thread=None),
            engagement(day(2), "x", change="opened", thread="  "),
            engagement(day(3), "x", change="opened", thread=7),
            engagement(day(4), "x", change="opened", thread="t"),
        ],
        ("out", day(0)),
        ("in", day(4)),
    ),
    extended(
        "groups are of one text but for the space around it",
        when({"open": "hiring", "count": 2}),
        [job(day(0), "opened"), job(day(1), "opened", " j1 "), job(day(2), "opened", "J1")],
        ("out", day(0)),
        ("in", day(2)),
    ),
    extended(
        "the latest of a group has the greatest time, whenever it was known",
        when({"open": "hiring"}),
        [job(day(2), "closed"), job(day(1), "opened", known=day(3))],
        ("out", day(2)),
    ),
    extended(
        "where times tie the greatest id is the latest",
        when({"open": "hiring"}),
        [job(day(0), "opened", id="9"), job(day(0), "closed", id="10")],
        ("in", day(0)),
    ),
    extended(
        "the greatest time goes before the greatest id",
        when({"open": "hiring"}),
        [job(day(0), "closed", id="z"), job(day(1), "opened", id="a")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    extended(
        "where ids tie too the greatest source is the latest",
        when({"open": "hiring"}),
        [job(day(0), "opened", id="a", source="b"), job(day(0), "closed", id="a", source="c")],
        ("out", day(0)),
    ),
    extended(
        "where is asked of the latest alone",
        when({"open": "hiring", "where": {"function": "sales"}}),
        [
            job(day(0), "opened", function="sales"),
            job(day(1), "opened", function="legal"),
            job(day(2), "reopened", function="sales"),
            job(day(3), "closed", function="legal"),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "a where over a missing field does not match",
        when({"open": "hiring", "where": {"seniority": {"ne": "junior"}}}),
        [job(day(0), "opened"), job(day(1), "opened", seniority="senior")],
        ("out", day(0)),
        ("in", day(1)),
    ),
    extended(
        "a technology is open while it was added last",
        when({"open": "tech", "count": {"gte": 2}}),
        [tech(day(0), "added", "dbt"), tech(day(1), "added", "hubspot"), tech(day(2), "removed", "dbt")],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
    extended(
        "by may be another field",
        when({"open": "hiring", "by": "function", "count": 2}),
        [
            job(day(0), "opened", function="sales"),
            job(day(1), "opened", function="legal"),
            job(day(2), "closed", "j9", function="legal"),
        ],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
    extended(
        "an opening dated ahead is not open yet",
        when({"open": "hiring"}),
        [job(day(3), "opened", known=day(0))],
        ("out", day(0)),
        ("in", day(3)),
    ),
    extended(
        "a retracted closing leaves the job open",
        when({"open": "hiring"}),
        [
            job(day(0), "opened"),
            job(day(1), "closed", id="c"),
            job(day(1), "closed", id="d", record="c", op="retract", known=day(4)),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(4)),
    ),
    extended(
        "a change that opens nothing closes",
        when({"open": "engagement", "by": "thread"}),
        [
            engagement(day(0), "x", change="added", thread="t"),
            engagement(day(1), "x", change="merged", thread="t"),
            engagement(day(2), "x", change="reopened", thread="t"),
            engagement(day(3), "x", thread="t"),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "a trait holds how many are open",
        when({"jobs": {"gte": 2}}, {"jobs": {"open": "hiring", "where": {"function": "sales"}}}),
        [job(day(0), "opened"), job(day(1), "opened", "j2"), job(day(2), "closed", "j2")],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
    extended(
        "a trait of open things is 0 where there are none",
        when({"jobs": 0}, {"jobs": {"open": "tech"}}),
        [snapshot(day(0), employees=10)],
        ("in", day(0)),
    ),
]


def steps(*kinds: str, **more: Json) -> Json:
    return when({"sequence": [{"event": kind} for kind in kinds], "within": "9d", **more})


TIES = [
    extended(
        "a strict sequence takes no equal times",
        steps("funding", "hiring"),
        [funding(day(0)), hiring(day(0)), snapshot(day(1), employees=1)],
        ("out", day(0)),
    ),
    extended(
        "order: strict is the default",
        steps("funding", "hiring", order="strict"),
        [funding(day(0)), hiring(day(0)), hiring(day(1))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(9)),
    ),
    extended(
        "a loose sequence takes equal times",
        steps("funding", "hiring", order="loose"),
        [funding(day(0)), hiring(day(0))],
        ("in", day(0)),
        ("out", day(9)),
    ),
    extended(
        "a loose sequence is still a sequence",
        steps("funding", "hiring", order="loose"),
        [hiring(day(0)), funding(day(0) + 1)],
        ("out", day(0)),
    ),
    extended(
        "one fact is never two steps of a loose sequence",
        steps("funding", "funding", order="loose"),
        [funding(day(0), id="a"), funding(day(0), id="b", known=day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(9)),
    ),
    extended(
        "the first step leaves the one fact that the second needs",
        when(
            {
                "sequence": [{"event": "funding"}, {"event": "funding", "where": {"round": "seed"}}],
                "within": "9d",
                "order": "loose",
            }
        ),
        [funding(day(0), id="a", round="seed"), funding(day(0), id="b", round="ipo")],
        ("in", day(0)),
        ("out", day(9)),
    ),
    extended(
        "a fact is not taken again two steps later",
        steps("funding", "hiring", "funding", order="loose"),
        [funding(day(0), id="a"), hiring(day(0)), funding(day(3), id="b")],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(9)),
    ),
    extended(
        "the same id from two sources is two facts",
        steps("funding", "funding", order="loose"),
        [funding(day(0), id="a"), funding(day(0), id="a", source="other")],
        ("in", day(0)),
        ("out", day(9)),
    ),
    extended(
        "a loose sequence keeps its gap",
        steps("funding", "hiring", order="loose", gap="1d"),
        [funding(day(0)), hiring(day(1) + 1), hiring(day(2), id="h"), funding(day(2))],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(11)),
    ),
]
