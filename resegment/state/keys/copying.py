"""Copy the keys of a prefix to another: where its log is copied, what is sealed in it opens with the same keys."""

from __future__ import annotations

from resegment.errors import UserError
from resegment.state.keys.records import KeyRecord
from resegment.state.keys.store import KeyStore, require_secret

TOGETHER = 1000


class KeysThere(UserError):
    """The new prefix has keys of its own: what is copied would not open with them."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the key store {address} has other keys for the new prefix already",
            remedy="Choose another prefix, one that nothing was sealed in.",
        )


async def copy_keys(old: KeyStore, new: KeyStore, prefix: str) -> int:
    """Copy the secret of the names, all keys and what is forgotten; return how many keys there were. `prefix` is the old one.

    What is there stays, so this can be stopped and run again. A key that is destroyed in one prefix afterwards is not
    destroyed in the other: delete the old prefix with its keys once the new one is in use. Raises KeysThere,
    KeyStoreMissing and KeyStoreUnavailable.
    """
    secret = await require_secret(old, prefix)
    await new.init()
    await new.check()
    if await new.keep_secret(secret) != secret:
        raise KeysThere(new.address)
    count, some = 0, dict[str, KeyRecord]()
    async for name, record in old.scan():
        some[name] = record
        if len(some) >= TOGETHER:
            await new.put(some)
            count += len(some)
            some = {}
    await new.put(some)
    return count + len(some)
