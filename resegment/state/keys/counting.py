"""Count what a key store has."""

from __future__ import annotations

from typing import NamedTuple

from resegment.schemas.privacy.names import key_id
from resegment.schemas.privacy.wrapping import OperatorKey
from resegment.state.keys.keyring import LABEL
from resegment.state.keys.store import KeyStore, require_secret


class KeyCounts(NamedTuple):
    """Versions of keys that are in use and that were destroyed, keys that are forgotten, and operations that are open.

    `older` counts the versions that an older key of the operator wrapped.
    """

    live: int
    destroyed: int
    forgotten: int
    older: int
    pending: int


async def count_keys(store: KeyStore, operator: OperatorKey, prefix: str) -> KeyCounts:
    """Count the keys of a prefix. Raises KeyStoreMissing, BadOperatorKey and KeyStoreUnavailable."""
    secret = await require_secret(store, prefix)
    operator.unwrap(secret.encode(), LABEL)
    seen: set[str] = set()
    live = destroyed = forgotten = older = 0
    async for name, record in store.scan():
        if name in seen:  # a scan may yield one twice
            continue
        seen.add(name)
        forgotten += record.forgotten
        for version, wrapped in enumerate(record.versions, 1):
            if wrapped is None:
                destroyed += 1
            else:
                live += 1
                older += operator.rewrap(wrapped.encode(), key_id(name, version)) != wrapped.encode()
    return KeyCounts(live, destroyed, forgotten, older, len(await store.pending()))
