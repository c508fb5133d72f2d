"""Random tests, traits and conditions."""

from collections.abc import Callable, Sequence

from .vocabulary import (
    AMOUNTS,
    CUSTOM_FIELDS,
    INDUSTRIES,
    KINDS,
    MARGINS,
    SPANS,
    TECHNOLOGIES,
    WORDS,
    Draw,
    Json,
)


def text_test(draw: Draw, values: list[str], patterns: bool = True) -> Json:
    value = draw.choice(values)
    some = draw.sample(values, k=min(len(values), draw.randint(1, 2)))
    piece = value[1:4]
    tests: list[Json] = [
        value,
        some,
        {"eq": value},
        {"ne": value},
        {"in": some},
        {"not_in": some},
        {"exists": True},
    ]
    if patterns:
        tests += [
            {"contains": piece.upper()},
            {"matches": f"^{value[:2]}"},
            {"matches": f"{piece}.*$"},
            {"matches": "[aeiou]{2}|_"},
            {"contains": piece, "ne": value},
        ]
    return draw.choice(tests)


def number_test(draw: Draw, values: Sequence[float]) -> Json:
    value = draw.choice(values)
    low, high = sorted([value, draw.choice(values)])
    return draw.choice(
        [
            {"gte": value},
            {"gt": value},
            {"lte": value},
            {"lt": value},
            {"between": [low, high]},
            {"gte": low, "lt": high + 1},
            {"eq": value},
            {"ne": value},
            [low, high],
            {"in": [low, high]},
            {"not_in": [low]},
            value,
            {"exists": True},
        ]
    )


def set_test(draw: Draw, values: list[str]) -> Json:
    some = draw.sample(values, k=draw.randint(1, 2))
    return draw.choice(
        [
            {"has_any": some},
            {"has_all": some},
            {"has_none": some},
            {"exists": draw.random() < 0.7},
            {"has_any": some},
        ]
    )


def custom_test(draw: Draw) -> Json:
    number, text = draw.choice([0, 0.5, 1, 2]), draw.choice(["1", "Gold", "golden"])
    return draw.choice(
        [
            number,
            text,
            True,
            {"eq": draw.choice([1, "1", True])},
            {"ne": draw.choice([1, "1", True])},
            [number, text],
            {"in": [number, text]},
            {"not_in": [text, "x"]},
            {"not_in": [number]},
            {"gte": number},
            {"lt": number},
            {"between": [0, 1]},
            {"contains": "GOLD"},
            {"matches": "^[gG]old"},
            {"has_any": ["a", "c"]},
            {"has_all": ["a", "b"]},
            {"has_none": ["b"]},
            {"exists": draw.random() < 0.5},
        ]
    )


def where(draw: Draw, kind: str) -> dict[str, Json]:
    tests: dict[str, Json] = {}
    if kind in WORDS and draw.random() < 0.5:
        name = draw.choice(list(WORDS[kind]))
        tests[name] = text_test(draw, WORDS[kind][name], patterns=name == "title" or draw.random() < 0.3)
    if kind in AMOUNTS and draw.random() < 0.25:
        name, values = AMOUNTS[kind]
        tests[name] = number_test(draw, values)
    if draw.random() < 0.12:
        tests[draw.choice(CUSTOM_FIELDS)] = custom_test(draw)
    return tests


def windowed(draw: Draw, kind: str, often: float = 0.85) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if tests := where(draw, kind):
        made["where"] = tests
    if draw.random() < often:
        if draw.random() < 0.7:
            made["within"] = draw.choice(list(SPANS))
        else:
            made["ago"] = sorted(draw.sample(list(SPANS), k=2), key=SPANS.__getitem__)
            if draw.random() < 0.2:
                made["within"] = draw.choice(list(SPANS))
    return made


def event_test(draw: Draw) -> dict[str, Json]:
    kind = "firmographic" if draw.random() < 0.04 else draw.choice(KINDS)
    made = {"event": kind, **windowed(draw, kind)}
    if draw.random() < 0.35:
        counts: list[Json] = [
            {"gte": 2},
            {"gte": 2},
            {"eq": 1},
            1,
            {"lte": 1},
            {"between": [1, 2]},
            [1, 3],
            {"lt": 1},
        ]
        made["count"] = draw.choice(counts)
    return made


def sequence(draw: Draw) -> dict[str, Json]:
    steps: list[Json] = []
    for _ in range(draw.choice([2, 2, 2, 3])):
        kind = draw.choice(KINDS)
        step: dict[str, Json] = {"event": kind}
        if draw.random() < 0.3 and (tests := where(draw, kind)):
            step["where"] = tests
        steps.append(step)
    made = {"sequence": steps, "within": draw.choice(["3d", "5d", "1w", "14d"])}
    if draw.random() < 0.6:
        made["gap"] = draw.choice(["12h", "1d", "36h", "2d", "3d"])
    return made


def attribute_test(draw: Draw) -> dict[str, Json]:
    tests: list[Callable[[], dict[str, Json]]] = [
        lambda: {"industry": text_test(draw, INDUSTRIES)},
        lambda: {"employees": number_test(draw, [10, 50, 100, 200])},
        lambda: {"technologies": set_test(draw, TECHNOLOGIES)},
        lambda: {"margin": number_test(draw, MARGINS)},
        lambda: {draw.choice(CUSTOM_FIELDS): custom_test(draw)},
    ]
    return draw.choice(tests)()


def trait_test(draw: Draw, name: str, trait: dict[str, Json]) -> dict[str, Json]:
    if "decay" in trait:
        low, high = sorted(draw.sample([0.5, 1, 2, 3, 4, 5, 8], k=2))
        bound: dict[str, Json] = draw.choice(
            [{"gte": low}, {"gt": low}, {"lt": high}, {"lte": low}, {"between": [low, high]}]
        )
        return {name: {"exists": True, **bound} if draw.random() < 0.1 else bound}
    if {"count", "distinct"} & set(trait):
        return {name: number_test(draw, [0, 1, 2, 3])}
    if {"latest", "earliest"} & set(trait):
        kind, chosen = trait.get("latest") or trait["earliest"], trait["field"]
        if chosen in WORDS.get(kind, {}):
            return {name: text_test(draw, WORDS[kind][chosen])}
        return {name: custom_test(draw) if chosen in CUSTOM_FIELDS else number_test(draw, AMOUNTS[kind][1])}
    if "ratio" in trait:
        return {name: number_test(draw, [0.5, 1, 2, 25])}
    if "growth" in trait:
        return {name: number_test(draw, [0, 0.5, 1, -0.5, -3, 2])}
    scale = [0, 1, 2] if trait["field"] in CUSTOM_FIELDS else AMOUNTS[trait[next(iter(trait))]][1]
    return {name: number_test(draw, scale)}


# ---------------------------------------------------------------- traits


def trait(draw: Draw, operands: list[str]) -> dict[str, Json]:
    name = draw.choice(
        ["count", "sum", "distinct", "min", "max", "avg", "latest", "latest", "earliest", "earliest"]
        + ["decay"] * 3
        + ["growth"] * 2
        + ["ratio"] * 2
    )
    if name == "ratio":
        return {"ratio": draw.sample(operands, k=2)}
    if name == "growth":
        return {"growth": draw.choice(["employees", "margin", "margin"]), "over": draw.choice(list(SPANS))}
    if name == "count":
        kind = draw.choice(KINDS)
        return {"count": kind, **windowed(draw, kind)}
    if name == "decay":
        kind = draw.choice(["intent", "intent", "intent", "engagement", "hiring"])
        chosen = "score" if kind == "intent" else "fit"
        return {
            "decay": kind,
            "field": chosen,
            "half_life": draw.choice(list(SPANS)),
            **windowed(draw, kind, 0.3),
        }
    if name in {"distinct", "latest", "earliest"}:
        kind = draw.choice(KINDS)
        chosen = draw.choice([*WORDS[kind], "fit", *([AMOUNTS[kind][0]] * 2 if kind in AMOUNTS else [])])
    else:
        kind = draw.choice(["intent", "intent", "funding"])
        chosen = draw.choice([AMOUNTS[kind][0], AMOUNTS[kind][0], "fit"])
    return {name: kind, "field": chosen, **windowed(draw, kind)}


def holds_words(made: dict[str, Json]) -> bool:
    kind = made.get("latest") or made.get("earliest")
    return kind is not None and made["field"] in WORDS[kind]


def traits(draw: Draw) -> dict[str, dict[str, Json]]:
    made: dict[str, dict[str, Json]] = {}
    operands = ["employees", "revenue_usd", "fit"]
    for index in range(draw.randint(1, 5)):
        name = f"trait_{index}"
        made[name] = trait(draw, operands)
        if "decay" not in made[name] and not holds_words(made[name]):
            operands.append(name)
    return made


# ---------------------------------------------------------------- conditions


def condition(
    draw: Draw, named: dict[str, dict[str, Json]], others: list[str], depth: int
) -> dict[str, Json]:
    """A condition over the traits `named`, that may refer to the segments `others`."""
    shape = draw.random()
    if depth > 0 and shape < 0.45:
        inner = [condition(draw, named, others, depth - 1) for _ in range(draw.choice([1, 2, 2, 3]))]
        group = draw.choice(["all", "any", "any", "not"])
        return {"not": inner[0]} if group == "not" else {group: inner}
    if depth > 0 and shape < 0.5:
        return {**attribute_test(draw), **condition(draw, named, others, 0)}
    leaf = draw.random()
    if leaf < 0.33:
        return event_test(draw)
    if leaf < 0.42:
        return sequence(draw)
    if leaf < 0.59:
        return attribute_test(draw)
    if leaf < 0.66 and others:
        return {"segment": draw.choice(others)}
    name = draw.choice(list(named))
    return trait_test(draw, name, named[name])


def hold(draw: Draw, named: dict[str, dict[str, Json]], others: list[str]) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if draw.random() < 0.5:
        made["min_dwell"] = draw.choice(list(SPANS))
    if draw.random() < 0.5:
        made["cooldown"] = draw.choice(list(SPANS))
    if draw.random() < 0.4 or not made:
        made["exit_when"] = condition(draw, named, others, 1)
    return made
