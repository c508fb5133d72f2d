"""Random tests, traits and conditions with every construct of the language."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .conditions import (
    attribute_test,
    custom_test,
    event_test,
    number_test,
    sequence,
    set_test,
    text_test,
    trait,
    trait_test,
    windowed,
)
from .own_words import ACCOUNTS, FAR_DATES, TYPES, near_date, texts_of
from .vocabulary import INDUSTRIES, KINDS, MARGINS, SPANS, WORDS, Draw, Json

WORD_FIELDS = {kind: [name for name in fields if name != "change"] for kind, fields in WORDS.items()}


@dataclass
class Names:
    """What a condition may refer to."""

    types: dict[str, Json]
    traits: dict[str, dict[str, Json]] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    """Dates of the stream, for tests to be beside."""
    theme: int | None = None
    """The kind of leaf that stands in the file more than others."""


# ---------------------------------------------------------------- tests of a value


def literal_date(draw: Draw, seen: list[str]) -> str:
    if seen and draw.random() < 0.6:
        return draw.choice(seen)
    return draw.choice(FAR_DATES) if draw.random() < 0.1 else near_date(draw)


def date_test(draw: Draw, seen: list[str], *, moving: bool = True, exists: bool = True) -> Json:
    """Tests of a date: `moving` ones depend on the instant at which they are judged."""
    tests: list[Json] = [
        {"before": literal_date(draw, seen)},
        {"after": literal_date(draw, seen)},
        {"after": literal_date(draw, seen), "before": literal_date(draw, seen)},
    ]
    if exists:
        tests.append({"exists": draw.random() < 0.7})
    if moving:
        tests += [
            {"within_next": draw.choice(list(SPANS))},
            {"within_next": draw.choice(list(SPANS))},
            {"within_last": draw.choice(list(SPANS))},
            {"within_last": draw.choice(list(SPANS))},
            {"within_next": draw.choice(list(SPANS)), "after": literal_date(draw, seen)},
        ]
    return draw.choice(tests)


def listed_text_test(draw: Draw, values: list[str]) -> Json:
    """Tests of a text by pieces, by a list's name, or by a file."""
    pieces = [draw.choice(values)[1:3].upper(), "zz"]
    return draw.choice(
        [
            {"contains_any": pieces},
            {"contains_any": "$words"},
            {"in_file": "lists/words.txt"},
            {"not_in_file": "lists/words.txt"},
            {"in_file": "lists/words.txt", "ne": draw.choice(values)},
            {draw.choice(["in_file", "not_in_file"]): "lists/empty.txt"},
            {"not_in": "$mixed"},
            {draw.choice(["eq", "eq", "ne"]): draw.choice(["$words", "$industries", "$tools"])},
        ]
    )


def own_attribute_test(draw: Draw, names: Names) -> dict[str, Json]:
    """A test of an attribute that a file may give a type."""
    name = draw.choice([*TYPES, *["renewal_date"] * 4, "seats"])
    if name == "renewal_date":
        text: Json = draw.choice([{"ne": "2024-01-05"}, {"contains": "2024-01"}, {"eq": near_date(draw)}])
        return {name: text if draw.random() < 0.1 else date_test(draw, names.dates)}
    if name not in names.types:
        return {name: untyped_test(draw, names)}
    match name:
        case "seats":
            return {name: draw.choice([number_test(draw, [5, 10, 20]), "$numbers"])}
        case "plan":
            plans = ["pro", "free", "5", "C# kit"]
            return {name: draw.choice([text_test(draw, plans), listed_text_test(draw, plans)])}
        case "grade":
            return {name: text_test(draw, ["a", "b"], patterns=False)}
        case _:
            return {name: set_test(draw, ["eu", "us"])}


def untyped_test(draw: Draw, names: Names) -> Json:
    return draw.choice(
        [
            custom_test(draw),
            number_test(draw, [5, 10]),
            text_test(draw, ["pro", "5"]),
            listed_text_test(draw, ["pro", "gold"]),
            {"has_any": ["eu", "us"]},
            date_test(draw, names.dates),
        ]
    )


def account_test(draw: Draw) -> dict[str, Json]:
    one, some = draw.choice(ACCOUNTS), draw.sample(ACCOUNTS, k=2)
    return {
        "account": draw.choice(
            [
                one,
                some,
                {"ne": one},
                {"not_in": some},
                {"in_file": "accounts.txt"},
                {"not_in_file": "accounts.txt"},
                {"in_file": "accounts.txt", "ne": one},
                "$ours",
                {"in": "$ours"},
                {"contains_any": ["ACM", "b.c"]},
                {"matches": "^[a-m]"},
                {"exists": draw.random() < 0.8},
            ]
        )
    }


def named_list_test(draw: Draw) -> dict[str, Json]:
    return draw.choice(
        [
            {"industry": "$industries"},
            {"industry": {"not_in": "$industries"}},
            {"industry": {draw.choice(["eq", "ne"]): "$industries"}},
            {"industry": {"contains_any": ["AA", "tail"]}},
            {"industry": listed_text_test(draw, INDUSTRIES)},
            {"technologies": {draw.choice(["has_any", "has_all", "has_none"]): "$tools"}},
            {"tags": {"has_any": "$mixed"}},
            {"fit": draw.choice(["$numbers", {"in": "$numbers"}, {"not_in": "$mixed"}])},
            {"tier": listed_text_test(draw, ["Gold", "golden"])},
        ]
    )


def fresh_test(draw: Draw, names: Names) -> dict[str, Json]:
    """A test that holds only of a value that was given not long ago."""
    tests = [
        lambda: {"employees": number_test(draw, [10, 50, 100, 200])},
        lambda: {"margin": number_test(draw, MARGINS)},
        lambda: {"industry": text_test(draw, INDUSTRIES)},
        lambda: {"employees": {"exists": draw.random() < 0.5}},
        lambda: own_attribute_test(draw, names),
    ]
    ((name, test),) = draw.choice(tests)().items()
    if isinstance(test, list) or (isinstance(test, str) and test.startswith("$")):
        test = {"in": test}
    elif not isinstance(test, dict):
        test = {"eq": test}
    return {name: {**test, "known_within": draw.choice(list(SPANS))}}


# ---------------------------------------------------------------- tests of facts


def more_where(draw: Draw, names: Names, kind: str) -> dict[str, Json]:
    """A test of a fact's own data that the plain pairs have not."""
    choices: list[dict[str, Json]] = [{"account": draw.choice(["acme.com", {"ne": "b.co"}, "$ours"])}]
    if kind in WORDS:
        name = draw.choice(WORD_FIELDS[kind])
        values = texts_of(name)
        choices += [
            {name: listed_text_test(draw, values)},
            {name: {"contains_any": [draw.choice(values)[:3].upper()]}},
        ]
    if kind == "engagement":
        choices += [{"until": date_test(draw, names.dates, moving=False)}] * 2
    if kind == "outcome":
        choices += [{"opened_at": date_test(draw, names.dates, moving=False)}] * 3
    if kind == "intent":
        choices.append({"topic": "$words"})
    if kind == "firmographic":  # whose seats may be numbers by their type
        return draw.choice([*choices, {"seats": draw.choice([5, {"gte": 5}, {"in": "$numbers"}])}])
    return draw.choice([*choices, {"seats": draw.choice([5, "5", {"gte": 5}, {"in": "$numbers"}])}])


def follower(draw: Draw, names: Names, kind: str) -> dict[str, Json]:
    following = kind if draw.random() < 0.3 else draw.choice([*KINDS, "firmographic"])
    made: dict[str, Json] = {"event": following}
    if tests := windowed(draw, following, 0).get("where"):
        made["where"] = tests
    if draw.random() < 0.15:
        made["where"] = {**made.get("where", {}), **more_where(draw, names, following)}
    return made


def extended(draw: Draw, names: Names, kind: str, made: dict[str, Json]) -> dict[str, Json]:
    """An event test, or a trait over facts, with what the plain ones lack."""
    more = dict(made)
    if draw.random() < 0.35:
        more["not_followed_by"] = follower(draw, names, kind)
    if draw.random() < 0.15:
        more["where"] = {**more.get("where", {}), **more_where(draw, names, kind)}
    return more


def extended_event_test(draw: Draw, names: Names) -> dict[str, Json]:
    made = event_test(draw)
    if made["event"] == "firmographic" and draw.random() < 0.5:
        made["where"] = {draw.choice(["seats", "plan"]): {"exists": draw.random() < 0.8}}
    made = extended(draw, names, made["event"], made)
    if "count" in made and draw.random() < 0.1:
        made["count"] = "$numbers"
    return made


def loose_sequence(draw: Draw) -> dict[str, Json]:
    made = {**sequence(draw), "order": draw.choice(["loose", "loose", "loose", "strict"])}
    if draw.random() < 0.3:
        made["sequence"] = [made["sequence"][0]] * len(made["sequence"])
    return made


def open_things(draw: Draw, names: Names) -> dict[str, Json]:
    """What an open test and an open trait have in common."""
    kind = draw.choice(["hiring", "hiring", "tech", "engagement", "intent"])
    made: dict[str, Json] = {"open": kind}
    by = {"hiring": "function", "tech": "category", "engagement": "thread", "intent": "topic"}[kind]
    if kind in {"engagement", "intent"} or draw.random() < 0.15:
        made["by"] = by
    if draw.random() < 0.4:
        field_of = {"hiring": "function", "tech": "technology", "engagement": "action", "intent": "topic"}
        made["where"] = {field_of[kind]: text_test(draw, texts_of(field_of[kind]), patterns=False)}
    if draw.random() < 0.15:
        made["where"] = {**made.get("where", {}), **more_where(draw, names, kind)}
    return made


def open_test(draw: Draw, names: Names) -> dict[str, Json]:
    made = open_things(draw, names)
    if draw.random() < 0.6:
        made["count"] = draw.choice([{"gte": 2}, {"lte": 1}, 0, {"eq": 1}, {"lt": 1}, {"between": [1, 2]}])
    return made


# ---------------------------------------------------------------- traits


def time_trait(draw: Draw, names: Names) -> dict[str, Json]:
    kind = draw.choice([*KINDS, "firmographic"])
    made = {draw.choice(["latest", "latest", "earliest"]): kind, "field": "time"}
    return extended(draw, names, kind, {**made, **windowed(draw, kind, 0.4)})


def date_trait(draw: Draw) -> dict[str, Json]:
    kind, name = draw.choice([("outcome", "opened_at"), ("engagement", "until")])
    return {draw.choice(["latest", "earliest"]): kind, "field": name, **windowed(draw, kind, 0.4)}


def extended_trait(draw: Draw, names: Names, operands: list[str]) -> dict[str, Json]:
    shape = draw.random()
    if shape < 0.15:
        return time_trait(draw, names)
    if shape < 0.22:
        return date_trait(draw)
    if shape < 0.37:
        return open_things(draw, names)
    made = trait(draw, operands)
    if {"ratio", "growth"} & set(made):
        return made
    return extended(draw, names, made[next(iter(made))], made)


def is_date(made: dict[str, Json]) -> bool:
    return made.get("field") in {"time", "opened_at", "until"}


def extended_trait_test(draw: Draw, names: Names, name: str, made: dict[str, Json]) -> dict[str, Json]:
    if "score" in made:
        return {name: number_test(draw, [0, 5, 10, 12.5, 20])}
    if "open" in made:
        return {name: number_test(draw, [0, 1, 2])}
    if is_date(made):
        return {name: date_test(draw, names.dates)}
    holds_texts = ({"latest", "earliest"} & set(made)) and made["field"] in WORDS.get(
        made[next(iter(made))], {}
    )
    if holds_texts and draw.random() < 0.25:
        return {name: listed_text_test(draw, texts_of(made["field"]))}
    return trait_test(draw, name, made)


# ---------------------------------------------------------------- conditions


def reference(draw: Draw, names: Names) -> dict[str, Json] | None:
    """A condition or segment by its name, where there are any."""
    choices: list[dict[str, Json]] = [
        *({"condition": one} for one in names.conditions),
        *({"segment": one} for one in names.segments),
    ]
    return draw.choice(choices) if choices else None


def score_test(draw: Draw, names: Names) -> dict[str, Json] | None:
    scores = [name for name, made in names.traits.items() if "score" in made]
    if not scores:
        return None
    name = draw.choice(scores)
    return extended_trait_test(draw, names, name, names.traits[name])


def leaf(draw: Draw, names: Names) -> dict[str, Json]:
    def any_trait() -> dict[str, Json]:
        name = draw.choice(list(names.traits))
        return extended_trait_test(draw, names, name, names.traits[name])

    kinds: list[tuple[int, Callable[[], dict[str, Json] | None]]] = [
        (20, lambda: extended_event_test(draw, names)),
        (7, lambda: loose_sequence(draw)),
        (3, lambda: sequence(draw)),
        (8, lambda: attribute_test(draw)),
        (14, lambda: own_attribute_test(draw, names)),
        (7, lambda: account_test(draw)),
        (6, lambda: named_list_test(draw)),
        (8, lambda: fresh_test(draw, names)),
        (8, lambda: open_test(draw, names)),
        (9, lambda: reference(draw, names)),
        (7, lambda: score_test(draw, names)),
        (14, any_trait),
    ]
    (make,) = draw.choices([make for _, make in kinds], weights=[weight for weight, _ in kinds])
    if names.theme is not None and draw.random() < 0.5:
        _, make = kinds[names.theme % len(kinds)]
    return make() or any_trait()


def extended_condition(draw: Draw, names: Names, depth: int) -> dict[str, Json]:
    shape = draw.random()
    if depth > 0 and shape < 0.45:
        inner = [extended_condition(draw, names, depth - 1) for _ in range(draw.choice([1, 2, 2, 3]))]
        group = draw.choice(["all", "any", "any", "not"])
        return {"not": inner[0]} if group == "not" else {group: inner}
    if depth > 0 and shape < 0.5:
        return {**own_attribute_test(draw, names), **extended_condition(draw, names, 0)}
    if depth > 0 and shape < 0.54 and (named := reference(draw, names)):
        return {**named, **attribute_test(draw)}
    return leaf(draw, names)
