"""What a key store keeps of a key, and what may become of it. All stores follow these rules."""

from __future__ import annotations

from typing import Final, NamedTuple

LIVE: Final = "."
FORGOTTEN: Final = "F"
DESTROYED: Final = "-"
"""What stands in the place of a version that was destroyed."""


class KeyRecord(NamedTuple):
    """The versions of a key, wrapped, from 1 on; None in the place of a destroyed one.

    `forgotten`: what the key is for was forgotten, so it gets no new version.
    """

    versions: tuple[str | None, ...] = ()
    forgotten: bool = False

    @property
    def newest(self) -> int:
        """Return the number of the version that seals now, 0 where there is none."""
        return len(self.versions) if self.versions and self.versions[-1] is not None else 0


def parse_record(text: str) -> KeyRecord:
    """Return the record of a text as it is stored: `.` or `F`, and the versions, separated by commas."""
    flag, *versions = text.split(",")
    return KeyRecord(tuple(None if one == DESTROYED else one for one in versions), flag == FORGOTTEN)


def spell_record(record: KeyRecord) -> str:
    """Return the text of a record."""
    versions = [DESTROYED if one is None else one for one in record.versions]
    return ",".join((FORGOTTEN if record.forgotten else LIVE, *versions))


def create_version(record: KeyRecord, version: int, wrapped: str) -> KeyRecord:
    """Return the record with its next version; unchanged where it has one that seals, another is next, or it is forgotten."""
    if record.forgotten or record.newest or version != len(record.versions) + 1:
        return record
    return KeyRecord((*record.versions, wrapped))


def destroy_versions(record: KeyRecord, *, forget: bool) -> KeyRecord:
    """Return the record with all versions destroyed; with `forget` it gets no new one until that is lifted."""
    return KeyRecord((None,) * len(record.versions), record.forgotten or forget)


def replace_version(record: KeyRecord, version: int, old: str, new: str) -> KeyRecord:
    """Return the record with a version wrapped otherwise; unchanged where it is not the old one any more."""
    if not 0 < version <= len(record.versions) or record.versions[version - 1] != old:
        return record
    versions = list(record.versions)
    versions[version - 1] = new
    return KeyRecord(tuple(versions), record.forgotten)
