"""Random streams of events."""

from datetime import timedelta

from .vocabulary import (
    AMOUNTS,
    CUSTOM,
    CUSTOM_FIELDS,
    DAY,
    HOUR,
    INDUSTRIES,
    KINDS,
    MARGINS,
    SPANS,
    START,
    TECHNOLOGIES,
    WORDS,
    Draw,
    Json,
)


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
        "employees": draw.choice([10, 50, 75, 100, 150, 200, 0, "11-50", "51-200", "100+"]),
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
