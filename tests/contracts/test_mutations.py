"""A thousand broken events of each kind: each becomes a signal or a dead letter, and nothing stops."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.dead_letters import read_dead_letter
from resegment.agents.intake import IntakeRules, ingest
from resegment.agents.segmenter import segment
from resegment.errors import RefusedEvent
from resegment.schemas.cloudevents.decoding import MAX_BYTES, MAX_DEPTH
from resegment.schemas.fact import KINDS, decode_fact
from tests.builders import Published, Rig
from tests.contracts.examples import BY_KIND
from tests.events import fact_of_record
from tests.oracle.cases import segments

COUNT = int(os.environ.get("RESEGMENT_MUTATIONS", "1000"))
NOW = 1_770_000_000_000
Headers = list[tuple[str, bytes]]
Raw = tuple[bytes | None, Headers]

ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, 2**64 - 1, -(2**63), 1e308, "", " ", "\0", "﻿x", "ünïcödé.com", "💥" * 300, "x" * 3000,
    "acme.com" * 40, "http://[::1]/", "xn--", "..", "@", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59Z", [], [None], [[]], ["a", 1], {}, {"a": None}, {"": {"": {}}}, "gtm..v1", "gtm.tick.v1",
]  # fmt: skip


def nest(depth: int, draw: random.Random) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if draw.random() < 0.5 else {"x": value}
    return value


def change_fields(event: dict[str, Any], draw: random.Random) -> None:
    """Drop, retype, rename, add or nest some fields of the envelope or the data."""
    for _ in range(draw.randint(1, 3)):
        data = event.get("data")
        target = data if isinstance(data, dict) and data and draw.random() < 0.5 else event
        if not target:
            return
        name = draw.choice(sorted(target))
        match draw.randrange(6):
            case 0:
                del target[name]
            case 1:
                target[name] = draw.choice(ODD)
            case 2:
                target[draw.choice([name.upper(), f" {name}", name[::-1], "", "data", "id"])] = target.pop(
                    name
                )
            case 3:
                target[draw.choice(["op", "record", "recordedtime", "extra", "data_base64", "null"])] = (
                    draw.choice(ODD)
                )
            case 4:
                target[name] = nest(draw.choice([1, 3, MAX_DEPTH, MAX_DEPTH + 1, 200]), draw)
            case _:
                target[name] = [target[name]]


def structured(event: dict[str, Any], draw: random.Random) -> Raw:
    kind = draw.choice(
        [b"application/cloudevents+json", b"application/cloudevents+json; charset=utf-8", b"", b"text/plain"]
    )
    return orjson.dumps(event), [("content-type", kind)] if kind else []


def binary(event: dict[str, Any], _: random.Random) -> Raw:
    headers = [(f"ce_{name}", value if isinstance(value, str) else orjson.dumps(value).decode())
               for name, value in event.items() if name not in ("data", "datacontenttype")]  # fmt: skip
    value = orjson.dumps(event["data"]) if "data" in event else None
    return value, [("content-type", b"application/json"), *((name, text.encode()) for name, text in headers)]


def flip(value: bytes, draw: random.Random) -> bytes:
    flipped = bytearray(value)
    for _ in range(draw.randint(1, 4)):
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


BYTES: list[Callable[[bytes, random.Random], bytes | None]] = [
    flip,
    lambda value, draw: value[: draw.randrange(len(value))],
    lambda value, draw: value[draw.randrange(len(value)) :],
    lambda value, draw: value.decode().encode(draw.choice(["utf-16", "utf-32", "utf-8-sig", "utf-7"])),
    lambda value, draw: b"[" * draw.choice([10, 2_000, 100_000]) + value,
    lambda value, draw: value.replace(b'"', b"'", draw.randint(1, 5)),
    lambda value, draw: value + value,
    lambda value, _: value + b" " * MAX_BYTES,
    lambda value, draw: draw.randbytes(draw.randint(0, 64)),
    lambda value, draw: value.replace(
        b":", b":" + draw.choice([b"1e999,", b"NaN", b"-", b"9" * 5000, b'"\\ud800"']), 1
    ),
    lambda _, __: None,
]


def change_headers(headers: Headers, draw: random.Random) -> Headers:
    changed = list(headers)
    for _ in range(draw.randint(1, 3)):
        name = draw.choice([name for name, _ in headers] or ["ce_id"])
        odd: Any = draw.choice(
            [b"", b"\xff\xfe", b"\0", b"1" * 5000, "Ω".encode(), b"null", draw.randbytes(8), None]
        )
        match draw.randrange(5):
            case 0:
                changed = [one for one in changed if one[0] != name]
            case 1:
                changed = [(given, odd if given == name else value) for given, value in changed]
            case 2:
                changed.append((draw.choice(["ce_", "ce_data", "ce_id", "dl_reason", "tick", "", "Ω"]), odd))
            case 3:
                changed.append((name, odd))
            case _:
                changed = [(given.upper() if given == name else given, value) for given, value in changed]
    return changed


def mutate(kind: str, draw: random.Random) -> Raw:
    event: dict[str, Any] = orjson.loads(orjson.dumps(BY_KIND[kind]))
    event["id"] = f"{event['id']}-{draw.randrange(10**9)}"
    where = draw.randrange(3)
    if where == 0:
        change_fields(event, draw)
    value, headers = draw.choice([structured, binary])(event, draw)
    if where == 1 and value:
        value = draw.choice(BYTES)(value, draw)
    if where == 2:
        headers = change_headers(headers, draw)
    return value, headers


def mutations(kind: str) -> list[Raw]:
    draw = random.Random(f"{kind} {os.environ.get('RESEGMENT_SEED', '1')}")
    return [mutate(kind, draw) for _ in range(COUNT)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_event_is_refused_and_nothing_else(kind: str) -> None:
    reasons: Counter[str] = Counter()
    for value, headers in mutations(kind):
        try:
            fact_of_record(value, headers)
        except RefusedEvent as refused:
            reasons[refused.reason] += 1
        else:
            reasons["taken"] += 1
    assert {
        "not-json",
        "too-large",
        "too-deep",
        "wrong-envelope",
        "wrong-type",
        "unknown-kind",
        "not-a-company",
    } < set(reasons)
    assert COUNT * 0.1 < reasons["taken"] < COUNT * 0.7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clock", ["wall", "facts"])
async def test_each_broken_event_gives_a_signal_or_a_dead_letter_and_the_segmenter_goes_on(
    kind: str, clock: Any
) -> None:
    raw = mutations(kind)
    records = [
        RecordedMessage(offset, NOW, None, value, headers) for offset, (value, headers) in enumerate(raw)
    ]
    published = Published()
    taken = await ingest(
        Batch(f"triggers.{kind}", 0, records),
        IntakeRules(clock, lambda: NOW),
        publisher=published,
        signals="signals",
        dead_letters="dead-letters",
    )
    made, letters = published.to("signals"), published.to("dead-letters")
    ticks = [one for one in made if one.value is None]
    assert len(made) - len(ticks) == taken.accepted
    assert len(letters) == len(taken.refused)
    assert len(made) + len(letters) == len(published.messages) == COUNT

    for letter in letters:
        offset = int(read_dead_letter(letter.headers, letter.key, letter.value)["offset"])
        assert letter.value == raw[offset][0]
    facts = [decode_fact(one.value) for one in made if one.value is not None]
    assert [fact.account for fact in facts] == [
        (one.key or b"").decode() for one in made if one.value is not None
    ]

    rig = Rig(segments(first={"event": kind, "within": "30d"}))
    await rig.take()
    for start in range(0, len(made), 100):
        chunk = made[start : start + 100]
        log = [
            RecordedMessage(start + n, one.timestamp or NOW, one.key, one.value, one.headers)
            for n, one in enumerate(chunk)
        ]
        done = await segment(Batch("signals", 0, log), rig.owned, rig.versions, publisher=rig.published, factory=rig.factory,
                             dead_letters="dead-letters")  # fmt: skip
        assert not done.refused
    assert rig.memory.accounts
