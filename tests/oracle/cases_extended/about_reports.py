"""Segments that people asked for in public."""

from tests.oracle.cases import Json, day, funding, hiring, segments, snapshot

from .builders import ExtendedCase, engagement, extended, outcome, truth, when

OPTED_OUT = {"event": "engagement", "where": {"action": "unsubscribe"}, "within": "365d"}


def busy_account(views: int) -> ExtendedCase:
    """An account that opts out and then looks at many pages, one an hour: the opt-out stays for its year."""
    hour = 3_600_000
    seen = [engagement(day(0) + number * hour, "page_view") for number in range(1, views + 1)]
    return extended(
        f"{views} page views do not make an account's opt-out forgotten",
        when(OPTED_OUT),
        [engagement(day(0), "unsubscribe"), *seen],
        ("in", day(0)),
        ("out", day(365)),
    )


def many_accounts(count: int) -> dict[str, str]:
    """The text of a file with so many other accounts, and ours as the last."""
    return {"targets.txt": "\n".join([*(f"other-{number}.com" for number in range(count)), "www.acme.com"])}


DEMO: Json = {"event": "engagement", "where": {"action": "demo_request"}, "within": "30d"}
MEETING: Json = {"event": "outcome", "where": {"action": "meeting_booked"}}
READINESS: Json = {
    "readiness": {
        "score": [
            {"when": {"event": "funding", "within": "180d"}, "points": 30},
            {"when": {"open": "hiring", "where": {"function": "sales"}, "count": {"gte": 2}}, "points": 25},
            {"when": {"event": "leadership", "within": "90d"}, "points": 20},
            {"when": {"technologies": {"has_any": "$stack"}}, "points": 15},
            {"when": {"condition": "is_fit"}, "points": 10},
        ]
    }
}

REPORTS = [
    busy_account(40),
    extended(
        "a demo was asked for again after the meeting",
        when({**DEMO, "not_followed_by": MEETING}),
        [
            engagement(day(1), "demo_request"),
            outcome(day(3), "meeting_booked"),
            engagement(day(10), "demo_request"),
            outcome(day(12), "meeting_booked"),
        ],
        ("in", day(1)),
        ("out", day(3)),
        ("in", day(10)),
        ("out", day(12)),
    ),
    extended(
        "an account renews within 30 days",
        when({"renewal_date": {"within_next": "30d"}}, attributes={"renewal_date": "date"}),
        [snapshot(day(0), renewal_date="2024-02-20")],
        ("out", day(0)),
        ("in", day(20)),
        ("out", day(50)),
    ),
    *truth(
        "a renewal is before a day",
        True,
        {"renewal_date": {"before": "2026-03-01"}},
        {"renewal_date": "2026-02-20"},
    ),
    *truth(
        "20,000 target accounts stand in a file of their own",
        True,
        {"account": {"in_file": "targets.txt"}},
        {},
        files=many_accounts(20_000),
    ),
    extended(
        "sources that give only days make a sequence with order: loose",
        when({"sequence": [{"event": "funding"}, {"event": "hiring"}], "within": "30d", "order": "loose"}),
        [funding(day(30)), hiring(day(30))],
        ("in", day(30)),
        ("out", day(60)),
    ),
    extended(
        "words of any script are words",
        segments(
            sales={"event": "hiring", "where": {"function": "営業"}},
            marketing={"event": "hiring", "where": {"function": "маркетинг"}},
        ),
        [hiring(day(0), function="маркетинг"), hiring(day(1), function="営業")],
        ("marketing", day(0)),
        ("sales", day(1)),
    ),
    extended(
        "accounts are ranked by all their signs of readiness, not only by fit",
        {
            **segments(READINESS, hot={"readiness": {"gte": 70}}, warm={"readiness": {"gte": 25}}),
            "lists": {"stack": ["hubspot", "salesforce"]},
            "conditions": {"is_fit": {"employees": {"between": [50, 500]}, "country": ["US", "CA"]}},
        },
        [
            snapshot(day(0), employees=80, country="US", technologies=["hubspot"]),
            funding(day(10)),
            hiring(day(11), job="a"),
            hiring(day(12), job="b"),
            hiring(day(20), job="a", change="closed"),
        ],
        ("warm", day(0)),
        ("hot", day(12)),
        ("warm", day(20)),
    ),
]
