"""Keys of a prefix in memory, and facts sealed with them as intake does."""

from __future__ import annotations

import random
from collections.abc import Iterable

from msgspec.structs import replace

from resegment.agents.privacy.sealing import FactSealer
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.wrapping import OperatorKey
from resegment.state.keys.keyring import Keyring, make_keys, open_keyring
from resegment.state.keys.memory import MemoryKeyStore

OPERATOR = OperatorKey(b"o" * 32)
PERSONS = ("Jane Doe", "jane@acme.com", "Joe Blogs", "ÅSA  Öberg", None)


async def new_keyring() -> Keyring:
    store = MemoryKeyStore()
    await make_keys(store, OPERATOR)
    return await open_keyring(store, OPERATOR, "p")


async def seal_all(keys: Keyring, facts: Iterable[Fact]) -> list[Fact]:
    """Seal facts of which nothing is forgotten."""
    sealed = await FactSealer(keys).seal(list(facts))
    assert None not in sealed
    return [one for one in sealed if one is not None]


def with_persons(facts: Iterable[Fact], seed: int) -> list[Fact]:
    """Give most facts a person; the id of some names it."""
    draw = random.Random(seed)
    found = []
    for fact in facts:
        person = draw.choice(PERSONS)
        if person is None or fact.kind == "firmographic":
            found.append(fact)
            continue
        data = {**fact.data, "person": person, "crew": [{"email": f"x{draw.randint(1, 3)}@acme.com", "a": 1}]}
        if draw.random() < 0.3 and fact.record == fact.id:
            found.append(replace(fact, id=f"{fact.id}/{person}", record=f"{fact.id}/{person}", data=data))
        else:
            found.append(replace(fact, data=data))
    return found
