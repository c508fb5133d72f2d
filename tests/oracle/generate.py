"""Seeded pairs of a valid segments file and a stream of events, made so that edges fall together and segments change.

Times of facts and lengths of windows are drawn from one small set of durations, so that windows close
exactly when facts happen, facts collide, and now and then miss each other by a millisecond.
"""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from .naive import history

Json = Any
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = 3_600_000
DAY = 24 * HOUR
SPANS = {
    "12h": DAY // 2,
    "1d": DAY,
    "36h": 36 * HOUR,
    "2d": 2 * DAY,
    "3d": 3 * DAY,
    "5d": 5 * DAY,
    "1w": 7 * DAY,
}

INDUSTRIES = ["saas", "fintech", "retail"]
TECHNOLOGIES = ["hubspot", "salesforce", "snowflake", "dbt"]
CUSTOM = [
    1,
    1.0,
    2,
    0,
    0.5,
    -2,
    7,
    "1",
    "Gold",
    "golden",
    "x",
    True,
    False,
    ["a"],
    ["a", "b"],
    ["b", 1],
    [],
    None,
]
WORDS: dict[str, dict[str, list[str]]] = {
    "funding": {"round": ["seed", "series_a", "series_b"]},
    "hiring": {
        "change": ["opened", "closed"],
        "function": ["sales", "marketing", "engineering"],
        "title": ["SDR", "VP of Sales", "Growth Lead"],
        "seniority": ["junior", "senior"],
    },
    "leadership": {"change": ["joined", "left", "promoted"], "role": ["cro", "cmo", "vp_sales"]},
    "tech": {"change": ["added", "removed"], "technology": TECHNOLOGIES},
    "intent": {"topic": ["crm", "pricing", "analytics"]},
    "strategy": {"theme": ["expansion", "efficiency"]},
    "engagement": {"action": ["page_view", "demo_request", "webinar", "unsubscribe"]},
    "outcome": {"action": ["sent", "replied", "meeting_booked"]},
}
AMOUNTS: dict[str, tuple[str, list[float]]] = {
    "funding": ("amount_usd", [1_000_000, 2_000_000, 5_000_000]),
    "intent": ("score", [1, 2, 4, 8, 3, 0.5, 0.25, 10, 0, -4]),
}
MARGINS = [-20, -10, 5, 10, 20]
CUSTOM_FIELDS = ["tier", "fit", "tags"]
KINDS = [*WORDS, "intent", "tech", "hiring", "engagement"]  # the last four twice as often

Draw = random.Random


# ---------------------------------------------------------------- conditions


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


# ---------------------------------------------------------------- the file


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


def segments_file(draw: Draw) -> dict[str, Json]:
    """A file without lint errors, as YAML would load it."""
    named = traits(draw)
    names = [f"segment-{index}" for index in range(draw.randint(2, 6))]
    rank = draw.sample(names, k=len(names))  # a segment refers only to segments of lower rank: no cycles
    holding = draw.random() < 0.7
    segments: list[Json] = []
    for name in names:
        others = rank[: rank.index(name)]
        segment = {
            "name": name,
            "layer": draw.choice(["firmographic", "technographic", "behavioral", "needs"]),
            "hypothesis": "It needs us now.",
            "when": condition(draw, named, others, 2),
            "play": f"play-{name}",
            "route": {"workflow": f"workflow-{name}"},
        }
        if holding and draw.random() < 0.5:
            segment["hold"] = hold(draw, named, others)
        segments.append(segment)
    plays = {
        f"play-{name}": {
            "message": {"pain": "A pain", "value_prop": "A gain", "proof_points": ["A proof"]},
            "channels": {"primary": "email"},
        }
        for name in [*names, "none"]
    }
    fallback = {"name": "none", "play": "play-none", "route": {"workflow": "workflow-none"}}
    return {"version": 1, "traits": named, "segments": segments, "fallback": fallback, "plays": plays}


# ---------------------------------------------------------------- the stream


def spelled(draw: Draw, instant: int) -> str:
    """An instant as RFC 3339, now and then in another zone or finer than a millisecond."""
    finer = timedelta(microseconds=draw.choice([1, 500, 999])) if draw.random() < 0.08 else timedelta()
    moment = START + timedelta(milliseconds=instant) + finer
    if draw.random() < 0.08:
        shown = moment + timedelta(hours=2)
        return shown.replace(tzinfo=None).isoformat(timespec="microseconds") + "+02:00"
    return moment.replace(tzinfo=None).isoformat(timespec="auto" if moment.microsecond else "seconds") + "Z"


def fact_data(draw: Draw, kind: str) -> dict[str, Json]:
    if kind == "firmographic":
        return snapshot(draw)
    data: dict[str, Json] = {name: draw.choice(values) for name, values in WORDS[kind].items()}
    if kind in AMOUNTS and draw.random() < 0.9:
        name, amounts = AMOUNTS[kind]
        data[name] = draw.choice(amounts)
    for name in CUSTOM_FIELDS:
        if draw.random() < 0.25:
            data[name] = draw.choice(CUSTOM)
    return data


def snapshot(draw: Draw, share: float = 0.5) -> dict[str, Json]:
    full: dict[str, Json] = {
        "industry": draw.choice(INDUSTRIES),
        "employees": draw.choice([10, 50, 75, 100, 150, 200, 0]),
        "revenue_usd": draw.choice([100, 1000, 2500, 5000]),
        "margin": draw.choice(MARGINS),
        "technologies": draw.sample(TECHNOLOGIES, k=draw.randint(0, 3)),
        **{name: draw.choice(CUSTOM) for name in CUSTOM_FIELDS},
    }
    return {
        name: None if draw.random() < 0.06 else value for name, value in full.items() if draw.random() < share
    } or {"employees": 100}


def identifier(draw: Draw, taken: int) -> str:
    # By code point "10" < "9" < "Z" < "a" < "é" < "\uff5e" < an emoji, which UTF-16 puts before "\uff5e".
    return draw.choice(["", "", "Z", "a", "é", "\uff5e", "\uff5e", "😀", "😀"]) + str(taken)


def fresh_event(draw: Draw, number: int, account: str, instant: int) -> dict[str, Json]:
    kind = "firmographic" if draw.random() < 0.22 else draw.choice(KINDS)
    return {
        "specversion": "1.0",
        "id": identifier(draw, number),
        "source": draw.choice(["crawler", "crawler", "provider", "z/feed"]),
        "type": f"gtm.{kind}.v1",
        "subject": account,
        **times(draw, instant),
        "data": fact_data(draw, kind),
    }


def times(draw: Draw, instant: int) -> dict[str, str]:
    late = draw.random()
    if late < 0.55:
        return {"time": spelled(draw, instant)}
    if late < 0.62:
        return {"time": spelled(draw, instant), "recordedtime": spelled(draw, instant)}
    distance = draw.choice(list(SPANS.values()))
    return {
        "time": spelled(draw, instant),
        # later: learnt of afterwards; earlier: dated ahead
        "recordedtime": spelled(draw, instant + (distance if late < 0.82 else -distance)),
    }


def revision(draw: Draw, number: int, earlier: dict[str, Json], instant: int) -> dict[str, Json]:
    """Another word on the record of an earlier event: a correction, a retraction, or the assertion again."""
    kind = earlier["type"].split(".")[1]
    revised = {
        **earlier,
        "id": identifier(draw, number),
        "record": earlier.get("record", earlier["id"]),
        "recordedtime": earlier.get("recordedtime", earlier["time"])
        if draw.random() < 0.3
        else spelled(draw, instant),
    }
    revised.pop("op", None)
    if draw.random() < 0.45:
        revised["op"] = "retract"
    elif draw.random() < 0.6:
        revised["data"] = fact_data(draw, kind)
    if draw.random() < 0.3:
        revised["time"] = spelled(draw, instant)
    return revised


def twin(draw: Draw, number: int, earlier: dict[str, Json]) -> dict[str, Json]:
    """Another fact of the same kind and time, which only its id, or its source, tells apart."""
    other = {**earlier, "data": fact_data(draw, earlier["type"].split(".")[1])}
    if draw.random() < 0.4:
        other["source"] = draw.choice(["provider", "z/feed", "a"])
    else:
        other["id"] = identifier(draw, number)
        other.pop("record", None)
    return other


def redelivery(draw: Draw, earlier: dict[str, Json], instant: int) -> dict[str, Json]:
    again = dict(earlier)
    if draw.random() < 0.5:
        again["data"] = fact_data(draw, earlier["type"].split(".")[1])
    if draw.random() < 0.2:
        again["time"] = spelled(draw, instant)
    if draw.random() < 0.3:
        again["recordedtime"] = spelled(draw, instant)
    if draw.random() < 0.2:
        again["op"] = "retract"
    return again


def events(draw: Draw) -> list[dict[str, Json]]:
    """A stream over one to four accounts, in the order of delivery."""
    accounts = ["acme.com", "zeta.io", "müller.de", "b.co"][: draw.choice([1, 1, 2, 2, 3, 4])]
    clocks = dict.fromkeys(accounts, 0)
    stream: list[dict[str, Json]] = []
    for account in accounts:
        if draw.random() < 0.8:
            first = fresh_event(draw, 0, account, 0)
            stream.append({**first, "type": "gtm.firmographic.v1", "data": snapshot(draw, 0.8)})
    steps = [0, 0, HOUR, 12 * HOUR, 12 * HOUR, DAY, DAY, 36 * HOUR, 2 * DAY, 3 * DAY]
    for number in range(1, draw.randint(5, 50)):
        account = draw.choice(accounts)
        clocks[account] += draw.choice(steps)
        instant = clocks[account] + draw.choice([0] * 10 + [-1, 1])
        mine = [event for event in stream if event["subject"] == account]
        what = draw.random()
        if mine and what < 0.14:
            stream.append(revision(draw, number, draw.choice(mine), instant))
        elif mine and what < 0.19:
            stream.append(redelivery(draw, draw.choice(mine), instant))
        else:
            stream.append(fresh_event(draw, number, account, instant))
        if draw.random() < 0.2:
            stream.append(twin(draw, 100 + number, stream[-1]))
        if draw.random() < 0.03:  # the same id about another account is another fact
            stream.append({**stream[-1], "subject": draw.choice(accounts)})
    if draw.random() < 0.3:
        draw.shuffle(stream)
    return stream


def generate(seed: int) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """The pair of a segments file and its events that belongs to a seed."""
    draw = random.Random(seed)
    stream = events(draw)
    files = [segments_file(draw) for _ in range(draw.choice([1, 4, 4, 4]))]
    # Most files drawn at random seldom move an account, so of four the liveliest is taken.
    return max(files, key=lambda file: len(history(file, stream, None))), stream


def pairs() -> st.SearchStrategy[tuple[dict[str, Json], list[dict[str, Json]]]]:
    """Generated pairs as a hypothesis strategy; it shrinks to a small seed, not to a small pair."""
    return st.integers(min_value=0, max_value=2**32 - 1).map(generate)
