"""Make touches and outcomes from a seed: the same rows on every version of Python, with the standard library alone."""

from __future__ import annotations

import random

DAY = 86_400_000
START = 1_735_689_600_000  # 2025-01-01
UNTIL = START + 700 * DAY
SEGMENTS = ("new-leader", "fresh-funding", "hiring-wave", "tech-switch", "expansion", "dormant")
CHANNELS = ("email", "linkedin", "phone")


def make(seed, outcomes=20_000):
    """Return (touches, outcomes, shares) as lists of dicts and a dict; about as many outcomes as asked."""
    rng = random.Random(seed)
    names = SEGMENTS[: rng.randint(3, len(SEGMENTS))]
    shares = {name: rng.choice([0.1, 0.2, 0.3]) for name in names}
    quality = {name: rng.betavariate(2, 10) for name in names}
    closing = {name: rng.uniform(0.15, 0.6) for name in names}
    size = {name: rng.uniform(8.5, 10.5) for name in names}
    weight = [rng.uniform(0.2, 1) for _ in names]
    touches, rows = [], []
    number = 0
    while len(rows) < outcomes:
        number += 1
        account = f"account-{number}.example"
        for visit in range(1 + (rng.random() < 0.25)):
            segment = rng.choices(names, weight)[0]
            held = rng.random() < shares[segment]
            touch = {
                "touch": f"t-{number}-{visit}",
                "account": account,
                "at": START + int((visit * 300 + rng.random() * 395) * DAY),
                "segment": segment,
                "play": f"play-{names.index(segment) % 3}",
                "owner": None if held else f"owner-{rng.randint(1, 5)}",
                "channel": CHANNELS[names.index(segment) % 3],
                "version": rng.choice([1, 2, None]),
                "definition_version": "f00",
                "arm": "holdout" if held else "enrolled",
            }
            touches.append(touch)
            lift = 0.5 if held else 1.0
            rows += _outcomes(rng, touch, quality[segment] * lift, closing[segment], size[segment])
        if rng.random() < 0.05:
            rows.append(_row(account, START + rng.randint(0, 690) * DAY, "replied", reason="no-touch"))
    for index, row in enumerate(rows):
        row["record"] = f"r-{index}"
    return touches, [row for row in rows if row["at"] <= UNTIL + 30 * DAY], shares


def _outcomes(rng, touch, quality, closing, size):
    account, at, key = touch["account"], touch["at"], touch["touch"]
    mood = rng.betavariate(1, 3) * 2
    rows = []

    def add(action, days, **more):
        rows.append(_row(account, at + int(days * DAY), action, touch=key, **more))

    if touch["arm"] == "enrolled":
        for contact in range(rng.randint(1, 5)):
            person = f"p{contact}@{account}"
            add("sent", rng.random() * 3, person=person)
            if rng.random() < 0.03:
                add("bounced", 1 + rng.random(), person=person)
            elif rng.random() < min(1, quality * mood):
                days = rng.expovariate(1 / 5)
                add("auto_replied" if rng.random() < 0.1 else "replied", days, person=person)
                if rng.random() < 0.4:
                    add("positive_reply", days, person=person)
            elif rng.random() < 0.01:
                add("unsubscribed", rng.expovariate(1 / 6), person=person)
    if rng.random() < quality * 1.2:
        met = rng.expovariate(1 / 14)
        person = f"p0@{account}"
        add("meeting_booked", met, person=person)
        if rng.random() < 0.7:
            add("meeting_held", met + 4, person=person)
        if rng.random() < 0.7:
            _deal(rng, add, at, account, key, met + rng.expovariate(1 / 10), closing, size)
    return rows


def _deal(rng, add, at, account, key, opened, closing, size):
    deal = f"deal-{key}" if rng.random() < 0.9 else None
    since = {"opened_at": at + int((opened - (rng.random() < 0.2) * 60) * DAY)} if rng.random() < 0.8 else {}
    amount = {"amount_usd": round(rng.lognormvariate(size, 0.8), 2)} if rng.random() < 0.9 else {}
    add("opportunity_created", opened, deal=deal, **since)
    if rng.random() < 0.3:
        add("stage_changed", opened + 5, deal=deal, **amount)
    if rng.random() < 0.85:
        end = opened + rng.expovariate(1 / 70)
        won = rng.random() < closing
        if rng.random() < 0.05:
            add("lost", end, deal=deal)
            end += 10
        add("won" if won else "lost", end, deal=deal, **(amount if won else {}))
        if won and rng.random() < 0.2:
            add("churned", end + rng.uniform(30, 500), deal=deal)


def _row(account, at, action, **more):
    given = {
        "person": None,
        "deal": None,
        "amount_usd": None,
        "opened_at": None,
        "touch": None,
        "reason": None,
    }
    return {"account": account, "at": at, "action": action, **given, **more}
