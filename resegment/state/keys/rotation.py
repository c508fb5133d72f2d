"""Wrap everything in a key store with another key of the operator. It can be stopped at any point, and run again."""

from __future__ import annotations

from typing import NamedTuple

from resegment.schemas.privacy.names import key_id
from resegment.schemas.privacy.wrapping import OperatorKey
from resegment.state.keys.keyring import LABEL
from resegment.state.keys.store import KeyStore, require_secret


class Rotated(NamedTuple):
    """How many keys were wrapped with the new key, and how many already were."""

    wrapped: int
    already: int


def pending_label(id: str) -> str:  # noqa: A002  # of the operation
    """Return the label under which a pending operation is wrapped."""
    return f"the pending operation {id}"


async def rotate(store: KeyStore, operator: OperatorKey, prefix: str) -> Rotated:
    """Wrap each data key, the secret of the names, and pending operations with the first key of the operator.

    Data keys and their ids stay as they are, so nothing that they sealed is touched. Raises BadOperatorKey where none of
    the keys opens something, and KeyStoreUnavailable.
    """
    secret = await require_secret(store, prefix)
    operator.unwrap(secret.encode(), LABEL)
    wrapped = already = 0
    async for name, record in store.scan():
        for version, held in enumerate(record.versions, 1):
            if held is None:
                continue
            fresh = operator.rewrap(held.encode(), key_id(name, version)).decode()
            if fresh == held:
                already += 1
            else:
                await store.rewrap(name, version, held, fresh)
                wrapped += 1
    for operation, held in (await store.pending()).items():
        fresh = operator.rewrap(held.encode(), pending_label(operation)).decode()
        if fresh != held and operation in await store.pending():  # else it was completed in the meantime
            await store.put_pending(operation, fresh)
    fresh = operator.rewrap(secret.encode(), LABEL).decode()
    if fresh != secret:
        await store.keep_secret(fresh, instead_of=secret)
    return Rotated(wrapped, already)
