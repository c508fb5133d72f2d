"""Compare random histories of merges and unmerges with an evaluation from scratch.

Run `python -m tests.benchmarks.merges --histories 1000`; with `--kills 0.15`, the execution is killed at every seventh
question, and begun again.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from tests.unit.agents.test_merging import compare


def main() -> None:
    """Run the histories and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=10_000)
    parser.add_argument("--kills", type=float, default=0.0)
    given = parser.parse_args()
    differences, begun = 0, time.monotonic()
    for seed in range(given.first, given.first + given.histories):
        try:
            asyncio.run(compare(seed, kills=given.kills))
        except AssertionError as error:
            differences += 1
            print(f"seed {seed}: {error}")
    seconds = time.monotonic() - begun
    print(f"{given.histories:,} histories, {differences:,} differences, {seconds:.0f} s")


if __name__ == "__main__":
    main()
