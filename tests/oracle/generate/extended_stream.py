"""Streams that carry what the extended tests ask for, made of the plain ones."""

from collections.abc import Callable

from .own_words import GRADES, PLANS, REGIONS, SEATS, date_value
from .stream import events
from .vocabulary import Draw, Json

JOBS: list[Json] = ["j1", "j1", "j2", " j2 ", "j3", "", None]
THREADS: list[Json] = ["t1", "t1", "t2", " t2", 7, "", None]
CHANGES: list[Json] = ["opened", "reopened", "added", "closed", "merged", " opened ", None]


def own_attributes(draw: Draw) -> dict[str, Json]:
    full: dict[str, Json] = {
        "renewal_date": date_value(draw),
        "seats": draw.choice(SEATS),
        "plan": draw.choice(PLANS),
        "grade": draw.choice(GRADES),
        "regions": draw.choice(REGIONS),
        "account": draw.choice(["zeta.io", "other-x.com", 5]),
    }
    return {
        name: None if draw.random() < 0.05 else value for name, value in full.items() if draw.random() < 0.4
    }


def snapshot_data(draw: Draw) -> dict[str, Json]:
    more = own_attributes(draw)
    if draw.random() < 0.06:
        more["industry"] = draw.choice([" saas ", "", "\u00a0retail"])
    return more


def hiring_data(draw: Draw) -> dict[str, Json]:
    more: dict[str, Json] = {"job": draw.choice(JOBS)}
    if draw.random() < 0.15:
        more["change"] = "reopened"
    if draw.random() < 0.1:
        more["title"] = draw.choice([" SDR ", "", "Growth Lead "])
    return more


def engagement_data(draw: Draw) -> dict[str, Json]:
    more: dict[str, Json] = {"thread": draw.choice(THREADS), "change": draw.choice(CHANGES)}
    if draw.random() < 0.4:
        more["until"] = date_value(draw)
    return more


def outcome_data(draw: Draw) -> dict[str, Json]:
    opened_at = date_value(draw)
    return {"opened_at": opened_at} if isinstance(opened_at, str) else {}


def intent_data(draw: Draw) -> dict[str, Json]:
    more: dict[str, Json] = {"change": draw.choice(CHANGES)}
    if draw.random() < 0.1:
        more["topic"] = draw.choice([" crm ", "", "CRM"])
    return more


DATA: dict[str, Callable[[Draw], dict[str, Json]]] = {
    "firmographic": snapshot_data,
    "hiring": hiring_data,
    "engagement": engagement_data,
    "outcome": outcome_data,
    "intent": intent_data,
}


def more_data(draw: Draw, kind: str) -> dict[str, Json]:
    """The fields of an event that extended tests look at."""
    more = DATA[kind](draw) if kind in DATA else {}
    if draw.random() < 0.1:
        more["time"] = date_value(draw)
    if draw.random() < 0.1:
        more["seats"] = draw.choice(SEATS)
    if draw.random() < 0.1:
        more["account"] = draw.choice(["acme.com", "zeta.io", " b.co ", "other-x.com"])
    return more


def own_snapshot(draw: Draw, event: dict[str, Json], number: int) -> dict[str, Json]:
    """A snapshot of one's own attributes, at the time of another event."""
    given = {name: value for name, value in event.items() if name not in {"record", "op"}}
    kind = {"type": "gtm.firmographic.v1", "id": f"own-{number}", "source": "crm"}
    return {**given, **kind, "data": snapshot_data(draw)}


def extended_events(draw: Draw) -> list[dict[str, Json]]:
    """A plain stream with what is added here."""
    made = []
    for number, event in enumerate(events(draw)):
        kind = event["type"].split(".")[1]
        made.append({**event, "data": {**event["data"], **more_data(draw, kind)}})
        if draw.random() < 0.15:
            made.append(own_snapshot(draw, event, number))
    return made
