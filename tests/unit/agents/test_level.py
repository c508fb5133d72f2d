"""What the stages hold does not grow with the number of accounts that were ever seen."""

from __future__ import annotations

import gc
import sys

from resegment.identity.domains import REMEMBERED_SUBJECTS, registrable_domain
from tests.benchmarks.level import KEPT, Stages

ACCOUNTS = 1_000


async def test_accounts_that_come_and_go_leave_nothing_behind() -> None:
    for number in range(REMEMBERED_SUBJECTS):  # so many are remembered, and no more
        registrable_domain(f"company-{number:07}.com")
    stages = Stages(cache_bytes=500_000)
    await stages.take()
    await stages.feed(KEPT + ACCOUNTS)
    held = []
    for _ in range(3):
        await stages.feed(ACCOUNTS)
        gc.collect()
        held.append(sys.getallocatedblocks())
    assert stages.commands > 3 * ACCOUNTS
    assert held[-1] - held[0] < ACCOUNTS / 2, f"blocks of Python after each {ACCOUNTS} accounts: {held}"
