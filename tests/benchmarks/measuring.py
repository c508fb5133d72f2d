"""Measure 1,000,000 outcomes of 50,000 accounts, and from files: `python -m tests.benchmarks.measuring [OUTCOMES]`."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from resegment.console.outcomes.page import render_html
from resegment.outcomes.measuring.measure import measure
from resegment.outcomes.measuring.options import MeasureOptions
from resegment.schemas.times import format_instant
from tests.outcome_frames import at, load_generator, make_dataset

OUTCOMES: Final = 1_000_000
OPENED: Final = 3
"""How many times each e-mail is opened: the outcomes of an account are 20."""


def main(count: int) -> None:
    generator = load_generator()
    touches, outcomes, shares = generator.make(7, count // (OPENED + 1))
    opened = [
        {**one, "action": "opened", "record": f"{one['record']}-{number}"}
        for one in outcomes
        for number in range(OPENED)
    ]
    outcomes += opened
    accounts = len({one["account"] for one in touches})
    print(f"{accounts:,} accounts, {len(touches):,} touches, {len(outcomes):,} outcomes")
    data = make_dataset(touches, outcomes)
    for _ in range(2):
        begin, cpu = time.perf_counter(), time.process_time()
        report = measure(data, MeasureOptions(until=at(generator.UNTIL), shares=shares))
        print(f"measure: {time.perf_counter() - begin:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
    begin = time.perf_counter()
    page = render_html(report)
    print(f"HTML: {time.perf_counter() - begin:.2f} s, {len(page):,} bytes")
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "commands.jsonl", map(to_touch, touches))
        write(folder / "events.jsonl", map(to_event, outcomes))
        given = ["--events", folder / "events.jsonl", "--commands", folder / "commands.jsonl"]
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "resegment", "metrics", *given, "--html", folder / "page.html"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        print(f"resegment metrics --html from files: {time.perf_counter() - begin:.1f} s, {cpu:.1f} s of CPU")


def write(path: Path, rows: Iterable[Any]) -> None:
    with path.open("wb") as file:
        file.writelines(orjson.dumps(row) + b"\n" for row in rows)


def to_touch(one: Mapping[str, Any]) -> dict[str, Any]:
    data = {"says": "touch", "workflow": "mail", "change": f"c-{one['touch']}", **one}
    return event(
        "touch", f"x-{one['touch']}", data["account"], one["at"], data | {"at": format_instant(one["at"])}
    )


def to_event(one: Mapping[str, Any]) -> dict[str, Any]:
    data = {name: one[name] for name in ("action", "person", "deal", "amount_usd")}
    opened = None if one["opened_at"] is None else format_instant(one["opened_at"])
    data |= {"opened_at": opened, "idempotency_key": one["touch"]}
    return event("outcome", one["record"], one["account"], one["at"], data)


def event(kind: str, name: str, account: str, when: int, data: dict[str, Any]) -> dict[str, Any]:
    subject = account.replace(".example", ".com")
    if "account" in data:
        data["account"] = subject
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/benchmark",
        "type": f"gtm.{kind}.v1",
        "subject": subject,
        "time": format_instant(when),
        "data": {key: value for key, value in data.items() if value is not None},
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else OUTCOMES)
