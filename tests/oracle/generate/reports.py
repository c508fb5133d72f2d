"""Streams in which several sources report the same thing, and files that take their reports for one fact."""

import copy
import random
from typing import Any

from .extended_file import extended_file
from .extended_stream import extended_events
from .own_words import Sample, files
from .stream import identifier, spelled
from .vocabulary import DAY, HOUR, SPANS, Draw, Json

SOURCES = ["crawler", "/crawler", "provider", "z/feed", "a"]
PERSONS: list[Json] = ["Jo Ek", "jo  ek", "Al Au", "", None]
URLS: list[Json] = [
    "https://acme.com/jobs/1",
    "http://www.acme.com/jobs/1/#apply",
    "acme.com/jobs/1//",
    "https://acme.com/jobs/2",
    "https://",
    None,
]
LOCATIONS: list[Json] = ["Berlin", " berlin", "Oslo", None]
TITLES: list[Json] = ["SDR", "sdr", "Growth Lead", "", None]
AMOUNTS: list[Json] = [100, 120, 125, 80, 100.0, 0, -100, None]
REPORTED = ("funding", "leadership", "hiring")


def reported(draw: Draw, kind: str) -> dict[str, Json]:
    """What a report says beside the words that others repeat."""
    full: dict[str, list[Json]] = {
        "funding": {
            "amount_usd": AMOUNTS,
            "amount": AMOUNTS,
            "currency": ["USD", "USD", "EUR", None],
            "investors": [["Ada"], ["Bo"], None],
        },
        "leadership": {"person": PERSONS, "title": TITLES},
        "hiring": {"url": URLS, "location": LOCATIONS, "title": TITLES, "job": ["j1", "j2", None]},
    }[kind]  # type: ignore[assignment]
    return {name: draw.choice(values) for name, values in full.items() if draw.random() < 0.6}


def words(draw: Draw, kind: str) -> dict[str, Json]:
    found: dict[str, list[Json]] = {
        "funding": {"round": ["seed", "seed", "seed", "series_a", "other"]},
        "leadership": {
            "change": ["joined", "joined", "left"],
            "role": ["cro", "cro", "cro", "cmo", "unknown"],
        },
        "hiring": {"change": ["opened", "opened", "closed"], "function": ["sales", "marketing"]},
    }[kind]  # type: ignore[assignment]
    return {name: draw.choice(values) for name, values in found.items()}


def report(draw: Draw, number: int, account: str, kind: str, instant: int) -> dict[str, Json]:
    known = instant + draw.choice([0, 0, 0, HOUR, DAY, 3 * DAY, 7 * DAY, -DAY])
    return {
        "specversion": "1.0",
        "id": identifier(draw, number),
        "source": draw.choice(SOURCES),
        "type": f"gtm.{kind}.v1",
        "subject": account,
        "time": spelled(draw, instant),
        "recordedtime": spelled(draw, known),
        "data": {**words(draw, kind), **reported(draw, kind)},
    }


def again(draw: Draw, number: int, earlier: dict[str, Json], instant: int) -> dict[str, Json]:
    """The report of another source, or another word of the same one: a correction, or a retraction."""
    kind = earlier["type"].split(".")[1]
    away = draw.choice([0, *SPANS.values()]) * draw.choice([1, 1, -1]) + draw.choice([0] * 8 + [1, -1])
    time = max(0, instant + away)
    other = copy.deepcopy(earlier)
    if draw.random() < 0.2:
        other |= {"id": identifier(draw, number), "record": earlier.get("record", earlier["id"])}
        other["recordedtime"] = spelled(draw, instant + draw.choice([0, HOUR, DAY, 3 * DAY, 7 * DAY]))
        if draw.random() < 0.6:
            other["op"] = "retract"
    else:
        other |= {"id": identifier(draw, number), "source": draw.choice(SOURCES), "time": spelled(draw, time)}
        other["recordedtime"] = spelled(draw, time + draw.choice([0, 0, HOUR, 2 * DAY, 5 * DAY]))
        other.pop("record", None)
        other.pop("op", None)
    other["data"] = {
        **other["data"],
        **{k: v for k, v in reported(draw, kind).items() if draw.random() < 0.4},
    }
    if kind == "funding" and draw.random() < 0.5:
        other["data"]["round"] = draw.choice(["other", None])
        other["data"]["amount_usd"] = draw.choice([100, 100, 120])
    return other


def reports(draw: Draw) -> list[dict[str, Json]]:
    accounts = ["acme.com", "zeta.io"][: draw.choice([1, 1, 2])]
    stream: list[tuple[int, dict[str, Json]]] = []
    instant = 0
    for number in range(draw.randint(3, 30)):
        instant += draw.choice([0, HOUR, DAY // 2, DAY, 2 * DAY, 3 * DAY])
        if stream and draw.random() < 0.75:
            when, earlier = draw.choice(stream[-8:])
            stream.append((when, again(draw, number, earlier, when)))
        else:
            kind = draw.choice(REPORTED)
            stream.append((instant, report(draw, number, draw.choice(accounts), kind, instant)))
    events = [event for _, event in stream]
    if draw.random() < 0.5:
        draw.shuffle(events)
    return events


def sameness(draw: Draw) -> dict[str, Json]:
    span = lambda: draw.choice(list(SPANS))  # noqa: E731
    same: dict[str, Json] = {}
    if draw.random() < 0.85:
        same["funding"] = {"within": span()}
        if draw.random() < 0.7:
            same["funding"]["amount"] = draw.choice(["20%", "1%", "0.5%", "50%"])
    if draw.random() < 0.85:
        same["leadership"] = {"within": span(), **({"person": span()} if draw.random() < 0.5 else {})}
    if draw.random() < 0.85:
        same["hiring"] = {"within": span()}
    if draw.random() < 0.7:
        same["trust"] = draw.sample(["provider", "z/feed", "/a", "crm"], k=draw.randint(1, 4))
    return same


COUNTED: list[dict[str, Json]] = [
    {"event": "funding"},
    {"event": "funding", "where": {"amount_usd": {"gte": 110}}},
    {"event": "funding", "where": {"investors": {"has_any": ["Ada"]}}},
    {"event": "leadership", "where": {"change": "joined"}},
    {"event": "leadership", "where": {"role": "cro", "person": "Jo Ek"}},
    {"event": "hiring", "where": {"change": "opened"}},
    {"event": "hiring", "where": {"title": {"exists": True}}},
]


def counting_file(draw: Draw) -> dict[str, Json]:
    """A file whose segments count facts, sum and open them, in windows."""

    def window() -> dict[str, Json]:
        return {} if draw.random() < 0.4 else {"within": draw.choice(list(SPANS))}

    tests: list[Any] = [
        {**draw.choice(COUNTED), **window(), "count": draw.choice([1, 2, 3, {"gte": 2}, {"lte": 1}])}
        for _ in range(draw.randint(2, 5))
    ]
    tests += [
        {"raised": {"gte": draw.choice([100, 120, 200, 220])}},
        {"newest": {"in": ["seed", "series_a"]}},
        {"open": "hiring", "count": draw.choice([1, 2])},
        {
            "sequence": [{"event": "funding"}, {"event": "hiring"}],
            "within": draw.choice(list(SPANS)),
            "order": draw.choice(["strict", "loose"]),
        },
        {"event": "funding", "not_followed_by": {"event": "leadership"}, **window()},
    ]
    chosen = draw.sample(tests, k=min(len(tests), draw.randint(2, 6)))
    segments: list[Json] = [
        {
            "name": f"segment-{number}",
            "when": test if draw.random() < 0.8 else {"not": test},
            "play": "any",
            "route": {"workflow": f"workflow-{number}"},
        }
        for number, test in enumerate(chosen)
    ]
    message = {"pain": "A pain", "value_prop": "A gain", "proof_points": ["A proof"]}
    return {
        "version": 1,
        "traits": {
            "raised": {"sum": "funding", "field": "amount_usd", **window()},
            "newest": {"latest": "funding", "field": "round", **window()},
        },
        "segments": segments,
        "fallback": {"name": "none", "play": "any"},
        "plays": {"any": {"message": message, "channels": {"primary": "email"}}},
    }


def generate_reports(seed: int) -> Sample:
    """The file, stream and lists of a seed: every third file uses the whole language, among other events too."""
    draw = random.Random(f"reports {seed}")
    stream, lists = reports(draw), files(draw)
    if seed % 3:
        file = counting_file(draw)
    else:
        stream = [*stream, *extended_events(draw)]
        file = extended_file(draw, stream)
    return Sample({**file, "same": sameness(draw)}, stream, lists)
