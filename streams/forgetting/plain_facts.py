"""Count the facts that `signals` has as plain text of what is forgotten: they came before the prefix had keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence

import msgspec

from resegment.agents.batch import Record
from resegment.agents.deciding.merging import is_step
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.identities.steps import decode_step, unpack_facts
from resegment.schemas.privacy.facts import account_of, has_personal, sealed_of, subject_of
from resegment.schemas.privacy.fields import FIELDS
from resegment.state.keys.keyring import Keyring


async def count_plain_facts(
    batches: AsyncIterator[Sequence[Record]], accounts: Collection[str], ring: Keyring
) -> Counter[tuple[str, bool]]:
    """Return how many there are of each account, and, beside True, how many of these are about forgotten persons."""
    await ring.refresh_forgotten()
    found: Counter[tuple[str, bool]] = Counter()
    async for records in batches:
        for fact in _facts_in(records):
            account = account_of(fact)
            if account not in accounts or sealed_of(fact) or not has_personal(fact, FIELDS[fact.kind]):
                continue
            found[account, False] += 1
            if ring.forgets_person(account, subject_of(fact), fact.data):
                found[account, True] += 1
    return found


def _facts_in(records: Iterable[Record]) -> Iterable[Fact]:
    for record in records:
        if record.value is None:
            continue
        try:
            if record.key is not None:
                yield decode_fact(record.value)
            elif is_step(record):
                yield from unpack_facts(decode_step(record.value).facts)
        except msgspec.DecodeError:
            continue  # workers set it aside
