"""Hold the keys that a process uses: looked up once for a batch, and for some seconds from memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple

from resegment.errors import FatalError
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.envelope import (
    KEY_BYTES,
    MARK,
    MAX_KEYS,
    DataKey,
    Sealer,
    Tampered,
    read_ids,
    sealer_of,
)
from resegment.schemas.privacy.facts import SEALED, account_of, open_personal, subject_of
from resegment.schemas.privacy.fields import CALLING, ways_of
from resegment.schemas.privacy.names import SECRET_BYTES, KeyNames, key_id, split_id
from resegment.schemas.privacy.opening import OpenFact
from resegment.schemas.privacy.wrapping import OperatorKey
from resegment.state.keys.records import KeyRecord
from resegment.state.keys.store import KeyStore, KeyStoreLost, NewVersion, require_secret

TTL: Final = 10.0
"""Seconds that a key, or that there is none, is taken from memory."""
MOST: Final = 100_000
"""Keys in memory."""
LONGEST: Final = len(MARK) + 40 * MAX_KEYS
"""Where the ids of an envelope end at the latest."""
ABSENT: Final = ""
"""Stands for what opens an envelope with a destroyed key."""
LABEL: Final = "the secret of its names"

Subject = tuple[str, str | None]
"""An account, and a person at it; None for what names no person."""
Pair = tuple[DataKey, DataKey]
"""What seals: the key of an account, and that of a person, of texts, or of messages."""


class NotPrepared(FatalError):
    """A key was asked for that nobody looked up: to take it for destroyed would lose a fact."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key} was not looked up before it was needed")
        self.key = key


class UnknownKey(Tampered):
    """The key store has never had the key. What needs it is set aside: it is not taken for forgotten."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the key store does not have the key {key}. If its keys were lost, restore its backup and retry the dead letters"
        )
        self.key = key


class PreparedKeys(dict[str, DataKey]):
    """The keys of a batch by their ids, as they were looked up. A destroyed one is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.destroyed: set[str] = set()
        self.unknown: set[str] = set()

    def __missing__(self, key: str) -> DataKey:
        if key in self.destroyed:
            raise KeyError(key)
        if key in self.unknown:
            raise UnknownKey(key)
        raise NotPrepared(key)


class _Held(NamedTuple):
    """A key in memory: until when, what the store has, and the versions of it."""

    until: float
    record: KeyRecord
    versions: dict[int, DataKey]

    @property
    def newest(self) -> DataKey | None:
        return self.versions.get(self.record.newest)


def _pair_up(first: _Held, second: _Held) -> Pair | None:
    """Return the newest versions of two keys, None where one of them has none."""
    if first.newest is None or second.newest is None:
        return None
    return first.newest, second.newest


_ABSENT: Final = KeyRecord()
_CALLED: Final = (*CALLING, "first_name", "last_name")


class Keyring:
    """The keys of a prefix. One for each process; every call that looks something up raises KeyStoreUnavailable."""

    def __init__(
        self,
        store: KeyStore,
        operator: OperatorKey,
        names: KeyNames,
        *,
        now: Callable[[], float] = monotonic,
        ttl: float = TTL,
        most: int = MOST,
    ) -> None:
        self.store, self.operator, self.names = store, operator, names
        self._now, self._ttl, self._most = now, ttl, most
        self._held: dict[str, _Held] = {}
        self._pairs: dict[tuple[str, str | None], tuple[float, Pair | None]] = {}
        self._heads: dict[str, tuple[float, Sealer | str]] = {}
        self._forgotten: frozenset[str] = frozenset()
        self._forgotten_until = float("-inf")
        self._gone: dict[tuple[Any, ...], bool] = {}
        self.lookups = 0
        """How often the store was asked."""

    # Opening

    async def prepare(self, ids: Iterable[str]) -> PreparedKeys:
        """Return the keys with these ids: with one call for those that are not in memory."""
        wanted = set(ids)
        prepared = PreparedKeys()
        if not wanted:
            return prepared
        split = {one: split_id(one) for one in wanted}
        held = await self._look_up({name for name, _ in split.values()})
        for id, (name, version) in split.items():  # noqa: A001  # as an envelope has it
            found = held[name]
            if (key := found.versions.get(version)) is not None:
                prepared[id] = key
            elif found.record.forgotten or version <= len(found.record.versions):
                prepared.destroyed.add(id)
            else:
                prepared.unknown.add(id)
        if prepared.unknown:
            await self._check_store()
        return prepared

    async def opener(self, facts: Iterable[Fact]) -> OpenFact:
        """See `resegment.schemas.privacy.opening.FactKeys`."""
        heads: set[str] = set()
        for fact in facts:
            text = fact.data.get(SEALED)
            if type(text) is str and text[:3] == MARK and (end := text.find(".", 3, LONGEST)) > 0:
                heads.add(text[3:end])
        await self.refresh_forgotten()
        sealers = await self._sealers(heads)

        def open_one(fact: Fact) -> Fact | None:
            text = fact.data.get(SEALED)
            if text is None:
                return None if self._forgotten and self._forgets(fact) else fact
            if type(text) is not str or text[:3] != MARK or (end := text.find(".", 3, LONGEST)) < 0:
                return fact
            try:
                sealer = sealers[text[3:end]]
            except KeyError:
                raise NotPrepared(text[3:end]) from None
            if type(sealer) is Sealer:
                return open_personal(fact, text, end + 1, sealer)
            if sealer is ABSENT:
                return None
            if sealer is None:
                return fact
            raise UnknownKey(str(sealer))

        return open_one

    async def _sealers(self, heads: Collection[str]) -> dict[str, Sealer | str | None]:
        """Return what opens envelopes by the ids that they begin with.

        ABSENT: a key was destroyed. An id: that key is not known. None: these are no ids.
        """
        now = self._now()
        found: dict[str, Sealer | str | None] = {
            head: held[1] for head in heads if (held := self._heads.get(head)) is not None and held[0] > now
        }
        if len(found) == len(heads):
            return found
        missing: dict[str, tuple[str, ...]] = {}
        for head in heads:
            if head not in found:
                try:
                    missing[head] = read_ids(head)
                except Tampered:
                    found[head] = None
        keys = await self.prepare([id for ids in missing.values() for id in ids])  # noqa: A001  # as there
        if len(self._heads) + len(missing) > self._most:
            self._heads.clear()
        for head, ids in missing.items():
            sealer: Sealer | str
            if unknown := [one for one in ids if one in keys.unknown]:
                sealer = unknown[0]
            elif any(one in keys.destroyed for one in ids):
                sealer = ABSENT
            else:
                sealer = sealer_of([keys[one] for one in ids])
            found[head] = sealer
            self._heads[head] = now + self._ttl, sealer
        return found

    def _forgets(self, fact: Fact) -> bool:
        """Return whether a fact that was never sealed is about a person that is forgotten."""
        return self.forgets_person(account_of(fact), subject_of(fact), fact.data)

    # Sealing

    async def pairs(self, subjects: Iterable[Subject]) -> dict[Subject, Pair | None]:
        """Return what seals facts about each subject, made where there is nothing; None where it is forgotten."""
        wanted, now = set(subjects), self._now()
        found = {
            one: held[1] for one in wanted if (held := self._pairs.get(one)) is not None and held[0] > now
        }
        missing = {one: self.names.of_fact(*one) for one in wanted if one not in found}
        if not missing:
            return found
        keys = await self._make_missing({name for names in missing.values() for name in names})
        if len(self._pairs) + len(missing) > self._most:
            self._pairs.clear()
        for subject, (first, second) in missing.items():
            one, other = keys[first], keys[second]
            found[subject] = _pair_up(one, other)
            self._pairs[subject] = min(one.until, other.until), found[subject]
        return found

    async def message_pairs(self, accounts: Iterable[str]) -> dict[str, Pair | None]:
        """Return what seals messages about each account, made where there is nothing; None where it is forgotten.

        They are looked up each time: a key from memory may be destroyed with a person, and take a message of today along.
        """
        wanted = {account: self.names.of_message(account) for account in accounts}
        names = {name for pair in wanted.values() for name in pair}
        for name in names:
            if (kept := self._held.get(name)) is not None:
                self._held[name] = kept._replace(until=float("-inf"))
        held = await self._make_missing(names)
        return {account: _pair_up(held[first], held[second]) for account, (first, second) in wanted.items()}

    async def _make_missing(self, names: Collection[str]) -> dict[str, _Held]:
        held = await self._look_up(names)
        wanted = [
            self._make(name, len(one.record.versions) + 1)
            for name, one in held.items()
            if not one.record.newest and not one.record.forgotten
        ]
        if wanted:
            await self._check_store()
            self.lookups += 1
            records = await self.store.create(wanted)
            self._hold({one.name: record for one, record in zip(wanted, records, strict=True)})
            held |= {one.name: self._held[one.name] for one in wanted}
        return held

    def _make(self, name: str, version: int) -> NewVersion:
        return NewVersion(
            name, version, self.operator.wrap(os.urandom(KEY_BYTES), key_id(name, version)).decode()
        )

    async def _check_store(self) -> None:
        """Raise KeyStoreLost where keys are missing because the store was emptied, or is another one."""
        secret = await self.store.read_secret()
        if secret is None or _name_keys(self.operator, secret).account("") != self.fingerprint:
            raise KeyStoreLost(self.store.address)

    async def ask(self) -> None:
        """Raise KeyStoreUnavailable where the store does not answer."""
        await self.store.read_secret()

    @property
    def fingerprint(self) -> str:
        """Return what tells the keys of a prefix from those of another: it says nothing about them."""
        return self.names.account("")

    # What is forgotten

    async def refresh_forgotten(self) -> None:
        """Learn which accounts and persons are forgotten, unless that is known for some seconds."""
        if self._forgotten_until <= (now := self._now()):
            self._forgotten = await self.store.forgotten()
            self._gone.clear()
            self._forgotten_until = now + self._ttl

    @property
    def forgets(self) -> bool:
        """Return whether anything is forgotten."""
        return bool(self._forgotten)

    def is_forgotten(self, account: str) -> bool:
        """Return whether an account is forgotten, as far as `refresh_forgotten` has learned."""
        return bool(self._forgotten) and self.names.account(account) in self._forgotten

    def forgets_person(self, account: str, person: str | None, data: Mapping[str, Any]) -> bool:
        """Return whether the person of a fact, or who is called as its data call them, is forgotten at the account."""
        if not self._forgotten:
            return False
        called = (account, person, *map(data.get, _CALLED))
        try:
            found = self._gone.get(called)
        except TypeError:  # a list in the place of a name
            return self._is_gone(account, person, data)
        if found is None:
            if len(self._gone) >= self._most:
                self._gone.clear()
            found = self._gone[called] = self._is_gone(account, person, data)
        return found

    def _is_gone(self, account: str, person: str | None, data: Mapping[str, Any]) -> bool:
        ways = ways_of(data) if person is None else [person, *ways_of(data)]
        return any(self.names.person(account, one) in self._forgotten for one in ways)

    def drop(self, names: Iterable[str] | None = None) -> None:
        """Forget what is in memory about keys, of all if no names are given: the next look is into the store."""
        self._pairs.clear()
        self._heads.clear()
        self._forgotten_until = float("-inf")
        if names is None:
            self._held.clear()
        else:
            for name in names:
                self._held.pop(name, None)

    # Memory

    async def _look_up(self, names: Collection[str]) -> dict[str, _Held]:
        now = self._now()
        held = {name: one for name in names if (one := self._held.get(name)) is not None and one.until > now}
        missing = [name for name in names if name not in held]
        if missing:
            self.lookups += 1
            records = await self.store.read(missing)
            self._hold(dict(zip(missing, [one or _ABSENT for one in records], strict=True)))
            held |= {name: self._held[name] for name in missing}
        return held

    def _hold(self, records: dict[str, KeyRecord]) -> None:
        until = self._now() + self._ttl
        for name, record in records.items():
            before = self._held.pop(name, None)
            versions = (
                before.versions
                if before is not None and before.record == record
                else {
                    version: DataKey(id, self.operator.unwrap(wrapped.encode(), id))
                    for version, wrapped in enumerate(record.versions, 1)
                    if wrapped is not None
                    for id in [key_id(name, version)]  # noqa: A001  # as an envelope has it
                }
            )
            self._held[name] = _Held(until, record, versions)
        while len(self._held) > max(self._most, len(records)):
            del self._held[next(iter(self._held))]


async def open_keyring(store: KeyStore, operator: OperatorKey, prefix: str) -> Keyring:
    """Return the keyring of a prefix.

    Raises KeyStoreMissing, KeyStoreNotDurable, BadOperatorKey and KeyStoreUnavailable.
    """
    await store.check()
    return Keyring(store, operator, _name_keys(operator, await require_secret(store, prefix)))


def _name_keys(operator: OperatorKey, secret: str) -> KeyNames:
    return KeyNames(operator.unwrap(secret.encode(), LABEL))


async def make_keys(store: KeyStore, operator: OperatorKey) -> bool:
    """Make what a key store needs for a prefix; return whether that was missing. Raises as `open_keyring` does."""
    await store.init()
    await store.check()
    if (found := await store.read_secret()) is not None:
        operator.unwrap(found.encode(), LABEL)
        return False
    wrapped = operator.wrap(os.urandom(SECRET_BYTES), LABEL).decode()
    return await store.keep_secret(wrapped) == wrapped
