"""A key store in memory, for tests and for a demo: what it has is gone with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from resegment.state.keys.records import KeyRecord, create_version, destroy_versions, replace_version
from resegment.state.keys.store import NewVersion

NOTHING = KeyRecord()


class MemoryKeyStore:
    """See `resegment.state.keys.store.KeyStore`."""

    address = "memory"

    def __init__(self) -> None:
        self._records: dict[str, KeyRecord] = {}
        self._pending: dict[str, str] = {}
        self._secret: str | None = None

    async def init(self) -> None:
        """Do nothing."""

    async def check(self) -> None:
        """Do nothing: nobody takes it for durable."""

    async def read_secret(self) -> str | None:
        return self._secret

    async def keep_secret(self, wrapped: str, *, instead_of: str | None = None) -> str:
        if self._secret == instead_of:
            self._secret = wrapped
        assert self._secret is not None
        return self._secret

    async def read(self, names: Sequence[str]) -> Sequence[KeyRecord | None]:
        return [self._records.get(name) for name in names]

    async def create(self, versions: Sequence[NewVersion]) -> Sequence[KeyRecord]:
        found = []
        for name, version, wrapped in versions:
            self._records[name] = create_version(self._records.get(name, NOTHING), version, wrapped)
            found.append(self._records[name])
        return found

    async def destroy(self, names: Collection[str], *, forget: bool = False) -> int:
        count = 0
        for name in names:
            record = self._records.get(name, NOTHING)
            count += sum(one is not None for one in record.versions)
            if forget or name in self._records:
                self._records[name] = destroy_versions(record, forget=forget)
        return count

    async def lift(self, names: Collection[str]) -> None:
        for name in names:
            if name in self._records:
                self._records[name] = KeyRecord(self._records[name].versions)

    async def forgotten(self) -> frozenset[str]:
        return frozenset(name for name, one in self._records.items() if one.forgotten)

    async def put(self, records: Mapping[str, KeyRecord]) -> None:
        self._records = {**records, **self._records}

    async def scan(self) -> AsyncIterator[tuple[str, KeyRecord]]:
        for one in list(self._records.items()):
            yield one

    async def rewrap(self, name: str, version: int, old: str, new: str) -> None:
        if name in self._records:
            self._records[name] = replace_version(self._records[name], version, old, new)

    async def put_pending(self, id: str, wrapped: str) -> None:  # noqa: A002  # the port
        self._pending[id] = wrapped

    async def pending(self) -> Mapping[str, str]:
        return dict(self._pending)

    async def remove_pending(self, id: str) -> None:  # noqa: A002  # the port
        self._pending.pop(id, None)

    async def aclose(self) -> None:
        """Do nothing."""
