"""Values that are fresh enough, types of one's own attributes, and trimmed texts."""

from tests.oracle.cases import Json, day, event, intent, snapshot

from .builders import ExtendedCase, extended, truth, when

FRESHNESS = [
    extended(
        "headcount is up and revenue flat only while both are fresh",
        when(
            {"more": {"gt": 0}, "sales": 0, "revenue_usd": {"exists": True, "known_within": "3d"}},
            {
                "more": {"growth": "employees", "over": "2d"},
                "sales": {"growth": "revenue_usd", "over": "2d"},
            },
        ),
        [
            snapshot(day(0), employees=5, revenue_usd=100),
            snapshot(day(2), employees=6, revenue_usd=100),
            snapshot(day(4), employees=7),
            snapshot(day(5), employees=8),
        ],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(5)),
    ),
    extended(
        "a value counts until its snapshot is as old as known_within",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [snapshot(day(0), employees=50)],
        ("in", day(0)),
        ("out", day(3)),
    ),
    extended(
        "a stale value is unknown, not false",
        when({"not": {"employees": {"lt": 50, "known_within": "3d"}}}),
        [snapshot(day(0), employees=50)],
        ("in", day(0)),
        ("out", day(3)),
    ),
    extended(
        "a stale value does not exist",
        when({"employees": {"exists": False, "known_within": "3d"}}),
        [snapshot(day(0), employees=50), snapshot(day(5), employees=50)],
        ("out", day(0)),
        ("in", day(3)),
        ("out", day(5)),
        ("in", day(8)),
    ),
    extended(
        "a fresh value exists",
        when({"employees": {"exists": True, "known_within": "3d"}}),
        [snapshot(day(0), employees=50)],
        ("in", day(0)),
        ("out", day(3)),
    ),
    extended(
        "the same value given again at the very end is fresh without a break",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [snapshot(day(0), employees=50), snapshot(day(3), employees=50)],
        ("in", day(0)),
        ("out", day(6)),
    ),
    extended(
        "a millisecond late is a break",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [snapshot(day(0), employees=50), snapshot(day(3) + 1, employees=50)],
        ("in", day(0)),
        ("out", day(3)),
        ("in", day(3) + 1),
        ("out", day(6) + 1),
    ),
    extended(
        "a snapshot without the field refreshes nothing",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [snapshot(day(0), employees=50), snapshot(day(2), industry="saas")],
        ("in", day(0)),
        ("out", day(3)),
    ),
    extended(
        "freshness goes by the snapshot's time, not by when it was known",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [snapshot(day(0), employees=50, known=day(2))],
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "a stale value is missing though an older snapshot is known later",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [
            snapshot(day(2), employees=50),
            snapshot(day(1), employees=10, known=day(4)),
            snapshot(day(0), industry="x"),
        ],
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(5)),
    ),
    extended(
        "a retracted refresh was none",
        when({"employees": {"gte": 50, "known_within": "3d"}}),
        [
            snapshot(day(0), employees=50),
            snapshot(day(2), id="b", employees=50),
            snapshot(day(2), id="c", record="b", op="retract", known=day(4)),
        ],
        ("in", day(0)),
        ("out", day(4)),
    ),
    extended(
        "a date may have to be fresh too",
        when({"renewal_date": {"within_next": "9d", "known_within": "2d"}}),
        [snapshot(day(0), renewal_date="2024-01-06")],
        ("in", day(0)),
        ("out", day(2)),
    ),
]

TYPED = {
    "seats": "number",
    "naics": "text",
    "renewal_date": "date",
    "tier": {"one_of": ["a", "b"]},
    "regions": "list",
}


def typed(name: str, value: Json, condition: Json, **given: Json) -> list[ExtendedCase]:
    return truth(name, value, condition, given, attributes=TYPED)


def absent(name: str, field: str, value: Json) -> list[ExtendedCase]:
    return typed(f"{name} is absent", False, {field: {"exists": True}}, **{field: value})


def present(name: str, field: str, value: Json, equal: Json) -> list[ExtendedCase]:
    return typed(name, True, {field: equal}, **{field: value})


def kept(name: str, field: str, good: Json, bad: Json) -> ExtendedCase:
    """A misfit leaves the older value as it is."""
    file = when({field: {"exists": True}}, attributes=TYPED)
    return extended(
        name, file, [snapshot(day(0), **{field: good}), snapshot(day(1), **{field: bad})], ("in", day(0))
    )


TYPES = [
    *present("a text that is a number is one", "seats", "12", {"gte": 12, "lt": 13}),
    *present("a text that is a number is one but for the space around it", "seats", " 12 ", 12),
    *present("a text may be a number with a fraction", "seats", "7.5", 7.5),
    *present("a text may be a number with an exponent", "seats", "1e1", 10),
    *present("a text may be a number below zero", "seats", "-3", {"lt": 0}),
    *present("a number is one", "seats", 12.0, 12),
    *absent("a range under number", "seats", "51-200"),
    *absent("a number with a comma under number", "seats", "1,200"),
    *absent("true under number", "seats", True),
    *absent("a list under number", "seats", [5]),
    *absent("a code under number", "seats", "007"),
    *present("a text of digits stays a text", "naics", "054151", "054151"),
    *absent("a number under text", "naics", 541512),
    *present(
        "a date stays the text that it is",
        "renewal_date",
        "2024-01-06",
        {"eq": "2024-01-06", "after": "2024-01-05"},
    ),
    *present("an instant is a date", "renewal_date", "2024-01-06T10:00:00+02:00", {"after": "2024-01-06"}),
    *absent("an impossible day under date", "renewal_date", "2024-02-30"),
    *absent("a time without a zone under date", "renewal_date", "2024-01-06T10:00:00"),
    *absent("a number under date", "renewal_date", 20240106),
    *present("one of the words is one", "tier", " a ", "a"),
    *absent("another word under one_of", "tier", "c"),
    *absent("another case under one_of", "tier", "A"),
    *absent("a number under one_of", "tier", 1),
    *present("a list is one", "regions", ["eu", 1], {"has_any": ["eu"]}),
    *absent("a text under list", "regions", "eu"),
    kept("a misfit leaves the older value", "seats", 5, "many"),
    kept("a misfit of words leaves the older value", "tier", "a", "z"),
    extended(
        "null takes a typed value away, as an empty text does",
        when({"seats": {"exists": True}}, attributes=TYPED),
        [
            snapshot(day(0), seats=5),
            snapshot(day(1), seats=None),
            snapshot(day(2), seats="6"),
            snapshot(day(3), seats="  "),
        ],
        ("in", day(0)),
        ("out", day(1)),
        ("in", day(2)),
        ("out", day(3)),
    ),
    extended(
        "a misfit refreshes nothing",
        when({"seats": {"gte": 5, "known_within": "3d"}}, attributes=TYPED),
        [snapshot(day(0), seats=5), snapshot(day(2), seats="many")],
        ("in", day(0)),
        ("out", day(3)),
    ),
    extended(
        "typed numbers grow and divide",
        when(
            {"more": 1, "each": 2},
            {"more": {"growth": "seats", "over": "1d"}, "each": {"ratio": ["seats", "employees"]}},
            attributes=TYPED,
        ),
        [snapshot(day(0), seats="5", employees=5), snapshot(day(1), seats="10")],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
    ),
    *truth(
        "an attribute without a type keeps the type that it came with",
        None,
        {"seats": {"gte": 5}},
        {"seats": "5"},
    ),
    extended(
        "a type is of the attribute, not of a field of other kinds",
        when({"event": "intent", "where": {"seats": "5"}}, attributes=TYPED),
        [intent(day(0), seats="5")],
        ("in", day(0)),
    ),
    *truth("a text is trimmed", True, {"industry": "saas"}, {"industry": " \tsaas\u00a0"}),
    *truth("an empty text is missing", None, {"industry": {"ne": "saas"}}, {"industry": ""}),
    *truth("a text of spaces does not exist", False, {"industry": {"exists": True}}, {"industry": "  "}),
    *truth("elements of lists are left alone", False, {"tags": {"has_any": ["eu"]}}, {"tags": [" eu "]}),
    *truth("an element of a list may be an empty text", True, {"tags": {"has_any": [""]}}, {"tags": [""]}),
    extended(
        "an empty text takes an attribute away",
        when({"industry": {"exists": True}}),
        [snapshot(day(0), industry="saas"), snapshot(day(1), industry=" ")],
        ("in", day(0)),
        ("out", day(1)),
    ),
    extended(
        "texts of any kind are trimmed",
        when({"kinds": 1}, {"kinds": {"distinct": "intent", "field": "vendor"}}),
        [
            event("intent", day(0), vendor="x"),
            event("intent", day(1), vendor=" x"),
            event("intent", day(2), vendor=" "),
        ],
        ("in", day(0)),
    ),
]
