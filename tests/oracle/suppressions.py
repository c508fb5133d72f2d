"""What docs/routing.md says about suppressions, persons, deals and the cooldown after a lost deal, judged naively.

Written from the page alone. It imports nothing of the product, reads all events again for each instant, and knows of no
deadline. Instants are milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]
DAY = 86_400_000
START = 1_767_225_600_000  # 2026-01-01

OPT_OUTS = {
    "unsubscribed", "unsubscribe", "opt_out", "opted_out", "optout", "spam_complaint", "spam_report", "marked_as_spam",
    "complaint", "complained",
}  # fmt: skip
BACK = {"resubscribed", "resubscribe"}
REACHED = {"opened", "replied", "positive_reply", "meeting_booked", "meeting_held"}


def counting(events: Iterable[Json], t: int) -> list[Json]:
    """The newest revision of each fact that is known at t and has happened, oldest first."""
    records: dict[tuple[str, str], Json] = {}
    seen: set[tuple[str, str]] = set()
    for event in sorted(events, key=lambda one: one["known"]):
        if event["known"] > t or (event["source"], event["id"]) in seen:
            continue
        seen.add((event["source"], event["id"]))
        fact = (event["source"], event["record"])
        old = records.get(fact)
        if old is None or (event["known"], event["id"]) >= (old["known"], old["id"]):
            records[fact] = event
    happened = [one for one in records.values() if one["op"] == "assert" and one["time"] <= t]
    return sorted(happened, key=lambda one: (one["time"], one["id"], one["source"]))


def newest(facts: Iterable[Json], key: Callable[[Json], Any]) -> dict[Any, Json]:
    return {key(one): one for one in facts}


def who(fact: Json) -> str | None:
    person = fact["data"].get("person")
    return None if person is None else person.strip().casefold()


def deal(fact: Json) -> str | None:
    found = fact["data"].get("deal")
    return None if found is None else found.strip()


def means_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "yes"))


def attribute(facts: Iterable[Json], name: str) -> Any:
    found = None
    for one in facts:
        if one["kind"] == "firmographic" and name in one["data"]:
            found = one["data"][name]
    return found


def judge(events: Iterable[Json], t: int, cooldown: int) -> Json:
    """Whatever holds at t. `persons:NAME` is the built-in with `{persons: account}`."""
    facts = counting(events, t)
    outcomes = [one for one in facts if one["kind"] == "outcome"]
    said = [one for one in facts if one["kind"] in ("outcome", "engagement")]

    def action(fact: Json) -> str:
        return str(fact["data"].get("action"))

    consent = newest((one for one in said if action(one) in OPT_OUTS | BACK), who)
    opted_out = {person: one for person, one in consent.items() if action(one) in OPT_OUTS}
    mail = newest(
        (one for one in outcomes if action(one) in {"bounced"} | REACHED | BACK and who(one) is not None), who
    )
    bouncing = {person: one for person, one in mail.items() if action(one) == "bounced"}
    general = [
        one for one in outcomes if action(one) in REACHED or (action(one) == "bounced" and who(one) is None)
    ]
    bounced = bool(general) and action(general[-1]) == "bounced"
    wins = newest((one for one in outcomes if action(one) in ("won", "renewed", "churned")), deal)
    deals = newest((one for one in outcomes if action(one) in ("opportunity_created", "won", "lost")), deal)
    lost = [one["time"] for one in outcomes if action(one) == "lost"]
    do_not = means_true(attribute(facts, "do_not_contact"))
    holding = {
        "customers": means_true(attribute(facts, "customer"))
        or any(action(one) != "churned" for one in wins.values()),
        "open-opportunities": any(action(one) == "opportunity_created" for one in deals.values()),
        "do-not-contact": do_not or None in opted_out,
        "bounced": bounced,
        "persons:do-not-contact": do_not or bool(opted_out),
        "persons:bounced": bounced or bool(bouncing),
    }
    listed: dict[str, Json] = {}
    for person, one in [*opted_out.items(), *bouncing.items()]:
        if person is None:
            continue
        old = listed.get(person)
        if old is None or (old["time"], old["id"], old["source"]) < (one["time"], one["id"], one["source"]):
            listed[person] = one
    return {
        "holding": {name for name, holds in holding.items() if holds},
        "persons": sorted(one["data"]["person"].strip() for one in listed.values()),
        "lost_until": max(lost) + cooldown if lost and cooldown else 0,
    }


ACTIONS = (
    *sorted(OPT_OUTS), *sorted(BACK), *sorted(REACHED), *(["bounced"] * 4), "won", "won", "renewed", "churned",
    "churned", "opportunity_created", "opportunity_created", "lost", "lost", "sent", "accepted", "something_else",
)  # fmt: skip


def generate_stream(seed: int) -> list[Json]:
    """A stream of one account: outcomes, engagement and snapshots, with revisions, retractions and late facts."""
    rng = random.Random(seed)
    events: list[Json] = []
    for number in range(rng.randint(1, 18)):
        kind = rng.choice(("outcome", "outcome", "outcome", "engagement", "firmographic"))
        time = START + rng.randint(0, 12) * DAY + rng.choice((0, 0, 1))
        known = max(START, time + rng.choice((0, 0, 0, 1, -2, 3)) * DAY)
        data: Json = {}
        if kind == "firmographic":
            values = (True, False, None, "true", " Yes", "TRUE", "no", "false", 1, "truely")
            data[rng.choice(("customer", "do_not_contact", "other"))] = rng.choice(values)
        else:
            data["action"] = rng.choice(ACTIONS)
            if rng.random() < 0.6:
                data["person"] = rng.choice(("jo@acme.com", "Jo@acme.com", "al", "žofia", "営業 太郎"))
        if kind == "outcome" and rng.random() < 0.6:
            data["deal"] = rng.choice(("A", "B", "a", "C"))
        event = {
            "kind": kind,
            "id": f"e{rng.randint(0, 40)}" if rng.random() < 0.3 else f"e{number}",
            "source": rng.choice(("crm", "crm", "mailer")),
            "time": time,
            "known": known,
            "op": "assert",
            "data": data,
        }
        event["record"] = event["id"]
        earlier = [one for one in events if one["kind"] == kind]
        if earlier and rng.random() < 0.3:
            old = rng.choice(earlier)
            event |= {"record": old["record"], "source": old["source"]}
            event["known"] = max(event["known"], old["known"] + rng.choice((0, DAY, -DAY)))
            if rng.random() < 0.5:
                event["op"] = "retract"
        events.append(event)
    return events


def instants(events: Iterable[Json]) -> list[int]:
    """Every instant at which something may change, the one before it, and one long after."""
    times = {one[name] for one in events for name in ("time", "known")}
    first = min(one["known"] for one in events)
    return sorted({at for time in times for at in (time - 1, time) if at >= first} | {START + 400 * DAY})
