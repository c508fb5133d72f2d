"""The port to a key store, and its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from resegment.errors import UserError
from resegment.state.keys.records import KeyRecord
from resegment.state.partition_store import StoreUnavailable


class KeyStoreUnavailable(StoreUnavailable):
    """The key store does not answer, or refuses to write."""


class KeyStoreLost(KeyStoreUnavailable):
    """The store has no keys of the prefix any more, or others: nobody may make new ones in their place."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the key store {address} has lost the keys of the prefix",
            remedy="Restore its backup. Until then everything waits, and nothing is lost.",
        )


class KeyStoreNotDurable(UserError):
    """The key store could lose keys: what they sealed could never be read again."""


class KeyStoreMissing(UserError):
    """Nothing was made in the key store for this prefix, or it was lost."""

    def __init__(self, address: str, prefix: str) -> None:
        super().__init__(
            f"the key store {address} has nothing for the prefix {prefix}",
            remedy="Run `resegment privacy init` once for a new prefix. If there were keys, restore the key store from its "
            "backup first: new keys open nothing that the old ones sealed.",
        )


class NewVersion(NamedTuple):
    """A version to make of a key: its number, and the data key wrapped."""

    name: str
    version: int
    wrapped: str


class KeyStore(Protocol):
    """Keeps the keys of one prefix, wrapped by the key of the operator. Every call raises KeyStoreUnavailable."""

    address: str
    """Where it is, without a password."""

    async def init(self) -> None:
        """Make what the store needs. Again changes nothing."""
        ...

    async def check(self) -> None:
        """Raise KeyStoreNotDurable where the server may lose what it has acknowledged."""
        ...

    async def read_secret(self) -> str | None:
        """Return the wrapped secret that keys are named with."""
        ...

    async def keep_secret(self, wrapped: str, *, instead_of: str | None = None) -> str:
        """Keep the secret if there is none, or the given one, and return the one that is kept."""
        ...

    async def read(self, names: Sequence[str]) -> Sequence[KeyRecord | None]:
        """Return the records of keys, None for one that was never made."""
        ...

    async def create(self, versions: Sequence[NewVersion]) -> Sequence[KeyRecord]:
        """Make versions that are next and missing, and return what the records are then. The first writer wins."""
        ...

    async def destroy(self, names: Collection[str], *, forget: bool = False) -> int:
        """Overwrite all versions of keys, and return how many there were.

        With `forget` they get no new version until that is lifted, those too that were never made.
        """
        ...

    async def lift(self, names: Collection[str]) -> None:
        """Let forgotten keys have new versions. The destroyed ones stay destroyed."""
        ...

    async def forgotten(self) -> frozenset[str]:
        """Return the names of all forgotten keys."""
        ...

    async def put(self, records: Mapping[str, KeyRecord]) -> None:
        """Keep records of another prefix as they are, where there is none: see `copy_keys`."""
        ...

    def scan(self) -> AsyncIterator[tuple[str, KeyRecord]]:
        """Yield all records, each at least once."""
        ...

    async def rewrap(self, name: str, version: int, old: str, new: str) -> None:
        """Put a version in the place of the same one as it was wrapped before; where it is another by now, do nothing."""
        ...

    async def put_pending(self, id: str, wrapped: str) -> None:  # noqa: A002  # of the operation
        """Keep an operation that is to be completed."""
        ...

    async def pending(self) -> Mapping[str, str]:
        """Return the operations that are not completed, by their ids."""
        ...

    async def remove_pending(self, id: str) -> None:  # noqa: A002  # of the operation
        """Remove a completed operation."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


async def require_secret(store: KeyStore, prefix: str) -> str:
    """Return the wrapped secret of a prefix that has keys. Raises KeyStoreMissing and KeyStoreUnavailable."""
    secret = await store.read_secret()
    if secret is None:
        raise KeyStoreMissing(store.address, prefix)
    return secret
