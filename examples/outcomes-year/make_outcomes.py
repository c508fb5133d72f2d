# ruff: noqa: INP001 - a script, not a package
"""Write commands.jsonl.gz and outcomes.jsonl.gz: an invented year of touches and outcomes of real companies.

The facts about the companies are real, and so are their segments in 2024. Nobody wrote to any of them: what came of it is drawn
from the model below, which README.md states. Each outcome has the source /synthetic/outcomes, and `synthetic: true` in its data.
The same seed gives the same files.

    python examples/outcomes-year/make_outcomes.py
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from math import exp
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import polars as pl

from resegment.identity.resolution import resolve_event
from resegment.outcomes.learning.observing import Observer
from resegment.schemas.cloudevents.decoding import read_event
from resegment.schemas.fact import Fact
from resegment.schemas.outcomes.messages import encode_touch, identify_holdout
from resegment.schemas.outcomes.touch import Touch
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.sources.providers.yc import read_files

HERE = Path(__file__).parent
SEED: Final = 20240101
DAY: Final = 86_400_000
FIRST: Final = parse_instant("2024-01-01T00:00:00Z")
LAST: Final = parse_instant("2024-12-31T00:00:00Z")
END: Final = parse_instant("2025-02-01T00:00:00Z")
COOLDOWN: Final = 90 * DAY

# The model: log odds of a reply, and what follows from one.
BASE: Final = {"hiring-again": -2.0, "growing": -1.6, "worth-a-call": -2.4, "entry-changed": -2.6}
PLAY: Final = {"peer-result": 0.5}
REPLIES: Final = {
    "{hiring: true}": 1.0,
    "{employees: {gte: 50}}": 1.1,
    "{industry: [b2b_software, consumer, healthcare]}": -0.7,
}
POSITIVE: Final = 0.6
MEETS: Final = 0.7
OPENS: Final = 0.7
ALONE: Final = 0.04
"""How likely an account opens a deal within 60 days without being written to."""
WINS, LOSES = 0.3, 0.4


class Drawn(NamedTuple):
    """A touch, and the facts at that instant that the model uses."""

    touch: Touch
    true: dict[str, bool]


def find_touches(definition: Definition, facts: list[Fact]) -> Iterator[Touch]:
    """Yield a touch for each account that enters a segment with a route in the year, after its cooldown."""
    for account, changes in backtest(Program(definition), facts, LAST):
        last: dict[str, int] = {}
        for change in changes:
            segment = definition.segment(change.to or "")
            at = change.effective_at
            if segment.route is None or not FIRST <= at < LAST or at - last.get(segment.name, 0) < COOLDOWN:
                continue
            last[segment.name] = at
            drawn = definition.draws.draw(segment.name, account.name, at)
            name = f"enroll\0{change.id}\0{segment.route.workflow}"
            yield Touch(
                touch=identify_holdout(change.id, segment.route.workflow)
                if drawn.holdout
                else hashlib.blake2b(name.encode(), digest_size=16).hexdigest(),
                account=account.name,
                at=at,
                segment=segment.name,
                workflow=segment.route.workflow,
                arm="holdout" if drawn.holdout else "enrolled",
                play=drawn.play,
                channel=definition.plays[drawn.play or ""].channels.primary,
                definition_version=definition.version,
                version=1,
                experiment=drawn.experiment,
                variant=drawn.variant,
                change=change.id,
            )


def observe(definition: Definition, facts: list[Fact], touches: list[Touch]) -> Iterator[Drawn]:
    """Yield each touch with what was true of its account."""
    frame = pl.DataFrame(
        {
            "touch": [one.touch for one in touches],
            "account": [one.account for one in touches],
            "at": [one.at for one in touches],
        }
    ).with_columns(pl.col("at").cast(pl.Datetime("ms", "UTC")))
    seen = Observer(definition).observe(facts, frame).frame
    rows = {row["touch"]: row for row in seen.iter_rows(named=True)}
    for one in touches:
        yield Drawn(one, {text: bool(rows[one.touch][text]) for text in REPLIES})


class Year:
    """Draws what comes of touches."""

    def __init__(self) -> None:
        self.random = Random(SEED)  # noqa: S311 - repeatable on purpose
        self.events: list[dict[str, Any]] = []
        self.deals = 0

    def take(self, drawn: Drawn) -> None:
        """Draw the outcomes of one touch."""
        touch, random = drawn.touch, self.random
        if random.random() < ALONE:
            self._open_deal(touch, touch.at + self._days(1, 60), None)
        if touch.arm == "holdout":
            return
        person = f"synthetic-person-{random.randrange(1, 90_000)}"
        about = {
            "person": person,
            "channel": touch.channel,
            "sequence": touch.workflow,
            "idempotency_key": touch.touch,
        }
        sent = touch.at + self._days(0, 1)
        self._say(touch, "sent", sent, about)
        fate = random.random()
        if fate < 0.03:
            self._say(touch, "bounced", sent + self._days(0, 1), about)
            return
        if fate < 0.06:
            self._say(touch, "auto_replied", sent + self._days(0, 1), about)
        if fate > 0.985:
            self._say(touch, "unsubscribed", sent + self._days(0, 5), about)
            return
        odds = BASE[touch.segment] + PLAY.get(touch.play or "", 0.0)
        odds += sum(weight for text, weight in REPLIES.items() if drawn.true[text])
        if random.random() >= 1 / (1 + exp(-odds)):
            return
        replied = sent + self._days(0.2, 11)
        self._say(touch, "replied", replied, about)
        if random.random() < POSITIVE:
            self._follow(touch, replied, about)

    def _follow(self, touch: Touch, replied: int, about: dict[str, Any]) -> None:
        random = self.random
        self._say(touch, "positive_reply", replied + self._days(0, 0.5), about)
        if random.random() >= MEETS:
            return
        booked = replied + self._days(0.5, 4)
        self._say(touch, "meeting_booked", booked, about)
        held = booked + self._days(2, 12)
        if random.random() < 0.8:
            self._say(touch, "meeting_held", held, about)
            if random.random() < OPENS:
                self._open_deal(touch, held + self._days(0, 14), about)

    def _open_deal(self, touch: Touch, opened: int, about: dict[str, Any] | None) -> None:
        random = self.random
        self.deals += 1
        currency, rate = ("EUR", 1.08) if random.random() < 0.3 else ("USD", 1.0)
        amount = round(random.lognormvariate(9.4, 0.6), -2)
        data: dict[str, Any] = {"deal": f"deal-{self.deals:04d}", "amount": amount, "currency": currency}
        data |= {"amount_usd": round(amount * rate), "opened_at": format_instant(opened)}
        if about is not None:
            data["idempotency_key"] = about["idempotency_key"]
        self._say(touch, "opportunity_created", opened, data)
        fate, closed = random.random(), opened + self._days(15, 110)
        later = {name: value for name, value in data.items() if name != "idempotency_key"}
        if fate < WINS:
            self._say(touch, "won", closed, later)
        elif fate < WINS + LOSES:
            self._say(touch, "lost", closed, later)

    def _days(self, least: float, most: float) -> int:
        return int(self.random.uniform(least, most) * DAY) // 1000 * 1000

    def _say(self, touch: Touch, action: str, at: int, data: dict[str, Any]) -> None:
        if at >= END:
            return
        number = f"outcome-{len(self.events) + 1:05d}"
        event = {
            "specversion": "1.0",
            "id": number,
            "source": "/synthetic/outcomes",
            "type": "gtm.outcome.v1",
            "subject": touch.account,
            "time": format_instant(at),
            "recordedtime": format_instant(at),
            "datacontenttype": "application/json",
            "data": {"action": action, **data, "synthetic": True},
        }
        self.events.append(event)
        if self.random.random() < 0.002:
            back = at + self._days(1, 4)
            self.events.append(
                {
                    **event,
                    "id": f"{number}-retracted",
                    "record": number,
                    "op": "retract",
                    "recordedtime": format_instant(back),
                    "data": {"synthetic": True},
                }
            )


def write(name: str, lines: list[bytes]) -> None:
    """Write a file beside this script; the same lines give the same bytes."""
    (HERE / name).write_bytes(gzip.compress(b"".join(one + b"\n" for one in lines), 9, mtime=0))


def main() -> None:
    """Write both files."""
    definition = read_definition([("segments.yaml", (HERE / "segments.yaml").read_text("utf-8"))])
    directory = HERE.parent / "yc"
    events, _ = read_files(
        directory / "snapshot-2021-12-02.jsonl.gz", directory / "changes-2022-2025.jsonl.gz"
    )
    facts = [resolve_event(read_event(one)) for one in events]
    touches = sorted(find_touches(definition, facts), key=lambda one: (one.at, one.touch))
    year = Year()
    for drawn in observe(definition, facts, touches):
        year.take(drawn)
    year.events.sort(key=lambda one: (one["recordedtime"], one["id"]))
    write("commands.jsonl.gz", [encode_touch(one) for one in touches])
    write("outcomes.jsonl.gz", [json.dumps(one, separators=(",", ":")).encode() for one in year.events])


if __name__ == "__main__":
    main()
