"""Point by point: what dates mean."""

from tests.oracle.cases import HOUR, day, funding, snapshot

from .builders import ExtendedCase, engagement, extended, outcome, truth, when

DAY_5 = "2024-01-06"  # day(5), to the millisecond
RENEWS = "renewal_date"


def renewing(value: object) -> list[dict[str, object]]:
    return [snapshot(day(0), **{RENEWS: value})]


def unknown(name: str, value: object) -> list[ExtendedCase]:
    """A value under which each of the four operators is unknown."""
    tests = {"before": "2030-01-01", "after": "2000-01-01", "within_next": "9d", "within_last": "9d"}
    return [
        one
        for operator, operand in tests.items()
        for one in truth(
            f"{name} is unknown under {operator}", None, {RENEWS: {operator: operand}}, {RENEWS: value}
        )
    ]


DATES = [
    extended(
        "within_next holds from the date less the span until the date",
        when({RENEWS: {"within_next": "2d"}}),
        renewing(DAY_5),
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(5)),
    ),
    extended(
        "within_last holds from the date until the span is over",
        when({RENEWS: {"within_last": "2d"}}),
        renewing(DAY_5),
        ("out", day(0)),
        ("in", day(5)),
        ("out", day(7)),
    ),
    extended(
        "an instant is as exact as an event's time",
        when({RENEWS: {"within_next": "2d"}}),
        renewing("2024-01-06T02:00:00.250999+02:00"),
        ("out", day(0)),
        ("in", day(3) + 250),
        ("out", day(5) + 250),
    ),
    extended(
        "an instant may be written with a space and in small letters",
        when({RENEWS: {"within_last": "1h"}}),
        renewing("2024-01-06 00:00:00z"),
        ("out", day(0)),
        ("in", day(5)),
        ("out", day(5) + HOUR),
    ),
    extended(
        "a date that is renewed moves the deadline",
        when({RENEWS: {"within_next": "2d"}}),
        [*renewing(DAY_5), snapshot(day(4), **{RENEWS: "2024-01-11"})],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(4)),
        ("in", day(8)),
        ("out", day(10)),
    ),
    extended(
        "a date learned after its window never holds",
        when({RENEWS: {"within_next": "2d"}}),
        [snapshot(day(0), employees=10), snapshot(day(1), known=day(5), **{RENEWS: DAY_5})],
        ("out", day(0)),
    ),
    extended(
        "not of a date becomes true as the window ends",
        when({"not": {RENEWS: {"within_last": "2d"}}}),
        renewing("2024-01-01"),
        ("out", day(0)),
        ("in", day(2)),
    ),
    extended(
        "several operators must all hold of a date",
        when({RENEWS: {"within_next": "2d", "after": DAY_5}}),
        [*renewing(DAY_5), snapshot(day(4), **{RENEWS: "2024-01-06T00:00:00.001Z"})],
        ("out", day(0)),
        ("in", day(4)),
        ("out", day(5) + 1),
    ),
    extended(
        "within_next works with the last of years",
        when({RENEWS: {"within_next": "365000d"}}),
        renewing("9999-12-31"),
        ("out", day(0)),
        ("in", 253_402_214_400_000 - 365_000 * 86_400_000),
        ("out", 253_402_214_400_000),
    ),
    *truth("before is strict", False, {RENEWS: {"before": DAY_5}}, {RENEWS: DAY_5}),
    *truth("before holds of the date before", True, {RENEWS: {"before": DAY_5}}, {RENEWS: "2024-01-05"}),
    *truth(
        "before holds a millisecond before",
        True,
        {RENEWS: {"before": DAY_5}},
        {RENEWS: "2024-01-05T23:59:59.999Z"},
    ),
    *truth("after is strict", False, {RENEWS: {"after": DAY_5}}, {RENEWS: "2024-01-06T00:00:00Z"}),
    *truth(
        "after holds a millisecond after",
        True,
        {RENEWS: {"after": DAY_5}},
        {RENEWS: "2024-01-06T00:00:00.001Z"},
    ),
    *truth(
        "after may be given an instant",
        True,
        {RENEWS: {"after": "2024-01-06T02:00:00+02:00"}},
        {RENEWS: "2024-01-06T00:00:00.001Z"},
    ),
    *truth(
        "the first of years is before all", True, {RENEWS: {"before": "0001-01-02"}}, {RENEWS: "0001-01-01"}
    ),
    *truth("the last of years is after all", True, {RENEWS: {"after": "9999-12-30"}}, {RENEWS: "9999-12-31"}),
    *truth(
        "the first of years was not of late", False, {RENEWS: {"within_last": "9d"}}, {RENEWS: "0001-01-01"}
    ),
    *truth(
        "the first of years is not to come", False, {RENEWS: {"within_next": "9d"}}, {RENEWS: "0001-01-01"}
    ),
    *truth(
        "February 29 is a date in a leap year",
        True,
        {RENEWS: {"before": "2024-03-01"}},
        {RENEWS: "2024-02-29"},
    ),
    *unknown("a missing date", None),
    *unknown("an impossible day", "2023-02-29"),
    *unknown("the year 0", "0000-01-01"),
    *unknown("a time without a zone", "2024-01-06T00:00:00"),
    *unknown("a time without seconds", "2024-01-06T00:00Z"),
    *unknown("an impossible hour", "2024-01-06T24:00:00Z"),
    *unknown("an impossible minute of an offset", "2024-01-06T00:00:00+01:60"),
    *unknown("a date without dashes", "20240106"),
    *unknown("a date with short parts", "2024-1-6"),
    *unknown("another text", "soon"),
    *unknown("a number", 20240106),
    *unknown("a list", ["2024-01-06"]),
    *truth("other operators see a date's text", True, {RENEWS: {"contains": "-01-"}}, {RENEWS: DAY_5}),
    *truth(
        "the same instant written otherwise is another text",
        False,
        {RENEWS: DAY_5},
        {RENEWS: "2024-01-06T00:00:00Z"},
    ),
    *truth(
        "a false operator settles it beside an unknown one",
        False,
        {RENEWS: {"eq": "x", "before": DAY_5}},
        {RENEWS: "y"},
    ),
    *truth(
        "a true operator leaves it unknown beside an unknown one",
        None,
        {RENEWS: {"eq": "y", "before": DAY_5}},
        {RENEWS: "y"},
    ),
    extended(
        "latest of time is when the event happened, not when it was known",
        when({"met": {"within_last": "3d"}}, {"met": {"latest": "engagement", "field": "time"}}),
        [
            engagement(day(0), "webinar"),
            engagement(day(1), "webinar", known=day(2)),
            engagement(day(9), "webinar", known=day(9)),
        ],
        ("in", day(0)),
        ("out", day(4)),
        ("in", day(9)),
        ("out", day(12)),
    ),
    extended(
        "earliest of time is that of the first",
        when({"met": {"before": "2024-01-02"}}, {"met": {"earliest": "funding", "field": "time"}}),
        [funding(day(1)), funding(day(0), known=day(4))],
        ("out", day(1)),
        ("in", day(4)),
    ),
    extended(
        "of the own time a field of that name in the data says nothing",
        when({"met": {"after": "2024-01-01"}}, {"met": {"latest": "funding", "field": "time"}}),
        [{**funding(day(2)), "data": {"round": "seed", "time": "1999-01-01"}}],
        ("in", day(2)),
    ),
    extended(
        "the own time is missing where no fact matches",
        when(
            {"not": {"met": {"within_last": "3d"}}},
            {"met": {"latest": "funding", "field": "time", "where": {"round": "ipo"}}},
        ),
        [funding(day(0))],
        ("out", day(0)),
    ),
    extended(
        "the own time exists where a fact matches, and follows its window",
        when(
            {"met": {"exists": False}},
            {"met": {"latest": "funding", "field": "time", "within": "2d"}},
        ),
        [funding(day(0))],
        ("out", day(0)),
        ("in", day(2)),
    ),
    extended(
        "what happened is never still to come",
        when({"not": {"met": {"within_next": "9d"}}}, {"met": {"latest": "funding", "field": "time"}}),
        [funding(day(0))],
        ("in", day(0)),
    ),
    extended(
        "a trait whose value is a date is tested as one",
        when({"opened": {"within_last": "1d"}}, {"opened": {"latest": "outcome", "field": "opened_at"}}),
        [outcome(day(0), "won", opened_at=DAY_5)],
        ("out", day(0)),
        ("in", day(5)),
        ("out", day(6)),
    ),
    extended(
        "where compares a date of the fact, and takes no unknown one",
        when({"event": "outcome", "where": {"opened_at": {"before": DAY_5}}, "count": 1}),
        [
            outcome(day(0), "won", opened_at=DAY_5),
            outcome(day(1), "won", opened_at="2024-01-05"),
            outcome(day(2), "won", opened_at="soon"),
            outcome(day(3), "won", opened_at="2024-01-04"),
        ],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
]
