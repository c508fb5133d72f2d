"""Open the sealed facts of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resegment.agents.deciding.applying import Known, facts_of
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.identities.steps import Step
from resegment.schemas.privacy.opening import FactKeys, OpenFact
from resegment.segmentation.evaluation.account import Account


async def prepare(
    keys: FactKeys, known: Mapping[str, Sequence[Known]], accounts: Mapping[str, Account]
) -> OpenFact:
    """Return what opens the facts of a batch, those that steps carry, and those that its accounts have waiting.

    After a step the keys are looked up again: it may be there because some were destroyed. Raises StoreUnavailable.
    """
    if any(isinstance(one[1], Step) for groups in known.values() for one in groups):
        keys.drop()
    return await keys.opener(_facts(known, accounts))


def _facts(known: Mapping[str, Sequence[Known]], accounts: Mapping[str, Account]) -> list[Fact]:
    found: list[Fact] = []
    for name, groups in known.items():
        found += facts_of(groups)
        identity = accounts[name].state.identity
        if identity is not None:
            found += map(decode_fact, identity.kept)
    return found


def is_unknown(account: Account) -> bool:
    """Whether nothing is known of an account, or was ever stored: all that came of it is absent."""
    state = account.state
    return not (account.log.size or state.entries or state.sequence or state.identity)
