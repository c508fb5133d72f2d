"""Read and credit a million outcomes of 50,000 accounts, from ledgers as Redis keeps them: `python -m tests.benchmarks.outcomes`."""

from __future__ import annotations

import gc
import random
import time

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.ledger import LedgerItem, decode_ledger, encode_ledger
from resegment.schemas.outcomes.touch import Touch

ACCOUNTS, EACH, DAY = 50_000, 20, 86_400_000
ACTIONS = (
    "sent",
    "opened",
    "replied",
    "positive_reply",
    "meeting_booked",
    "opportunity_created",
    "won",
    "lost",
)


def make_ledgers() -> list[bytes]:
    """Half of the outcomes name a command, a third a deal, and all a person and a sequence."""
    dice = random.Random(1)
    found = []
    for number in range(ACCOUNTS):
        name, touched = f"account{number}.com", dice.randrange(300 * DAY)
        items: list[LedgerItem] = [
            Touch(
                touch=f"{number:032x}", account=name, at=touched, segment=f"s{number % 7}", workflow=f"w{number % 7}",
                play="play", owner="ann", team="sales", channel="email", definition_version="13b0076556d9", version=3,
                change=f"{number:032x}",
            )
        ]  # fmt: skip
        for record in range(EACH):
            action = dice.choice(ACTIONS)
            items.append(
                OutcomeFact(
                    account=name, source="/sequencer/instantly", record=f"r{number}-{record}", id=f"r{number}-{record}",
                    at=touched + dice.randrange(100 * DAY), recorded=1, action=action, channel="email",
                    key=f"{number:032x}" if dice.random() < 0.5 else None, person=f"p{record % 5}@{name}",
                    sequence=f"w{number % 7}", amount_usd=1000.0,
                    deal=f"d{number}" if action in ("won", "lost", "opportunity_created") else None,
                )
            )  # fmt: skip
        found.append(encode_ledger(items))
    return found


def main() -> None:
    values = make_ledgers()
    gc.collect()
    gc.freeze()
    print(f"{ACCOUNTS:,} ledgers, {sum(map(len, values)) / 1e6:.0f} MB")
    for _ in range(3):
        began, cpu = time.perf_counter(), time.process_time()
        ledgers = Ledgers()
        for value in values:
            ledgers.take(decode_ledger(value))
        read = time.perf_counter()
        found = Dataset.of(ledgers)
        done, spent = time.perf_counter(), time.process_time() - cpu
        print(
            f"{found.outcomes.height:,} outcomes: read {read - began:.1f} s, credited {done - read:.1f} s, CPU {spent:.1f} s"
        )


if __name__ == "__main__":
    main()
