"""The record of a prefix: partitions and clock, in which no worker may differ, and the version in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.errors import FatalError
from resegment.identity.merges import Identities
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import lists_key, prefix_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from resegment.state.keys.keyring import Keyring


ROUTING: Final = "routing"
"""The field that has the routing mode."""
DEFINITION: Final = "definition"
"""The field that has the fingerprint of the version in force."""


KEYS: Final = "keys"
"""The field that says which keys seal personal fields."""

IDENTITIES: Final = "identities"
"""The field that has the accounts of names and of merged accounts."""

UNRESOLVED: Final = "unresolved"
"""The field that says how many events wait for how many names."""


class PrefixDiffers(FatalError):
    """The prefix was created with another setting: `name` is the setting, `held` its value, `given` the one asked for."""

    def __init__(self, name: str, held: str, given: str, remedy: str) -> None:
        super().__init__(f"this prefix has {name} {held}, not {given}", remedy=remedy)
        self.name, self.held, self.given = name, held, given


_REMEDIES = {
    "partitions": "Give the number that it has, or copy the prefix into a new one: `resegment repartition`.",
    "clock": "The clock of a prefix is fixed: set RESEGMENT_CLOCK to the same one, or choose a new prefix.",
}


class KeysDiffer(FatalError):
    """The prefix is sealed with keys that this process does not have, or with other ones."""


class StateLost(FatalError):
    """Redis has nothing of a prefix whose `signals` has records. To continue would route every account again."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"Redis has lost the state of prefix {prefix}",
            remedy="Restore Redis from a backup, or fill it from the log: `resegment rebuild`.",
        )
        self.prefix = prefix


class Rebuilding(FatalError):
    """The prefix is being rebuilt: signals wait until that is done."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"prefix {prefix} is being rebuilt",
            remedy="Wait until it is done. If it was interrupted, run `resegment rebuild` again: it continues there.",
        )
        self.prefix = prefix


def is_known(held: Mapping[str, str]) -> bool:
    """Return whether Redis has the record of the prefix; single marks may have been written after it was lost."""
    return "partitions" in held


async def note_definition(client: Redis, prefix: str, fingerprint: str) -> None:
    """Note which version is in force, for people and for earlier releases. Raises StoreUnavailable."""
    with answering("note the version in force"):
        answer: Any = client.hset(prefix_key(prefix), DEFINITION, fingerprint)
        await answer


async def note_identities(client: Redis, prefix: str, identities: Identities) -> None:
    """Note which account names and merged accounts mean now, for commands. Raises StoreUnavailable."""
    value = msgspec.json.encode((identities.names, identities.merged()))
    with answering("note the identities"):
        answer: Any = client.hset(prefix_key(prefix), IDENTITIES, value)
        await answer


async def note_waiting(client: Redis, prefix: str, waiting: tuple[int, int]) -> None:
    """Note how many events wait for how many names, for `status`. Raises StoreUnavailable."""
    with answering("note what is unresolved"):
        answer: Any = client.hset(prefix_key(prefix), UNRESOLVED, msgspec.json.encode(waiting))
        await answer


def waiting_of(held: Mapping[str, str]) -> tuple[int, int]:
    """Return how many events wait for how many names, from the record of a prefix."""
    text = held.get(UNRESOLVED)
    return (0, 0) if text is None else msgspec.json.decode(text, type=tuple[int, int])


def identities_of(held: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the account of each name and of each merged account, from the record of a prefix."""
    text = held.get(IDENTITIES)
    return ({}, {}) if text is None else msgspec.json.decode(text, type=tuple[dict[str, str], dict[str, str]])


async def agree_on_keys(client: Redis, prefix: str, keyring: Keyring | None) -> None:
    """Note the keys that the prefix is sealed with, and refuse others, or none. Raises KeysDiffer, StoreUnavailable."""
    with answering("read which keys the prefix has"):
        if keyring is not None:
            answer: Any = client.hsetnx(prefix_key(prefix), KEYS, keyring.fingerprint)
            await answer
        held: Any = client.hget(prefix_key(prefix), KEYS)
        found = await held
    if found is None or (keyring is not None and found.decode() == keyring.fingerprint):
        return
    if keyring is None:
        raise KeysDiffer(
            f"personal fields of the prefix {prefix} are sealed, and RESEGMENT_KEYS is not set",
            remedy="Set RESEGMENT_KEYS and RESEGMENT_KEY_FILE as for the other workers.",
        )
    raise KeysDiffer(
        f"the key store {keyring.store.address} has other keys than those that the prefix {prefix} is sealed with",
        remedy="Point RESEGMENT_KEYS at the key store of this prefix. If it was lost, restore its backup.",
    )


async def set_routing(client: Redis, prefix: str, mode: str) -> None:
    """Set the routing mode. Raises StoreUnavailable."""
    with answering("set the mode of routing"):
        answer: Any = client.hset(prefix_key(prefix), ROUTING, mode)
        await answer


async def agree(client: Redis, prefix: str, *, partitions: int, clock: str) -> None:
    """Set what the record does not have yet, and refuse what differs. Raises PrefixDiffers or StoreUnavailable."""
    key = prefix_key(prefix)
    wanted = {"partitions": str(partitions), "clock": clock}
    with answering("set up the prefix"):
        for name, given in wanted.items():
            answer: Any = client.hsetnx(key, name, given)
            await answer
            held: Any = client.hget(key, name)
            found = (await held).decode()
            if found != given:
                raise PrefixDiffers(name, found, given, _REMEDIES[name])


async def read_prefix(client: Redis, prefix: str) -> dict[str, str]:
    """Return the record of the prefix; it is empty if there is none. Raises StoreUnavailable."""
    with answering("read the prefix"):
        answer: Any = client.hgetall(prefix_key(prefix))
        return {name.decode(): value.decode() for name, value in (await answer).items()}


class KeptList(msgspec.Struct, array_like=True, frozen=True):
    """A list's accounts at its last change, as a worker saw them, and those before that."""

    accounts: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()


async def read_lists(client: Redis, prefix: str) -> dict[str, KeptList]:
    """Return what `keep_lists` stored, by the list's name. Raises StoreUnavailable."""
    with answering("read the lists"):
        answer: Any = client.hgetall(lists_key(prefix))
        kept = await answer
    return {name.decode(): msgspec.msgpack.decode(value, type=KeptList) for name, value in kept.items()}


async def keep_lists(client: Redis, prefix: str, lists: Mapping[str, KeptList]) -> None:
    """Store these lists; others stay as they are. Raises StoreUnavailable."""
    if not lists:
        return
    fields: Any = {name: msgspec.msgpack.encode(one, order="sorted") for name, one in lists.items()}
    with answering("keep the lists"):
        answer: Any = client.hset(lists_key(prefix), mapping=fields)
        await answer
