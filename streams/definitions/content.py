"""Turn the content of a version into records of `definitions`, and back."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

from resegment.errors import FatalError
from resegment.schemas.definitions.records import Chunk, Role, Version, VersionFile
from resegment.segmentation.definition import Content, Definition, read_definition

PIECE: Final = 330_000
"""Bytes of a piece: in base64, with the rest of its record, it stays below 500 KB."""
_MOST: Final = 128 * 1024 * 1024
"""Bytes that one file may unpack to."""


class VersionIncomplete(FatalError):
    """A piece of a version's content is not in the topic."""

    def __init__(self, number: int, file: str) -> None:
        super().__init__(
            f"version {number} cannot be read: a piece of {file} is missing in the topic `definitions`",
            remedy="Records of that topic were deleted. Restore the topic, or apply the file as a new version.",
        )
        self.number, self.file = number, file


def to_records(
    definition: Definition, number: int, *, at: int, author: str = "", message: str = "", base: int = 0
) -> tuple[list[Chunk], Version]:
    """Return the pieces of a definition's content, and the record of the version."""
    chunks: dict[str, Chunk] = {}
    files = [
        VersionFile(name=name, role=role, hashes=_pack(data, chunks))
        for name, role, data in _files(definition.content)
    ]
    version = Version(
        number=number,
        fingerprint=definition.version,
        digest=definition.digest,
        files=tuple(files),
        at=at,
        author=author,
        message=message,
        base=base,
    )
    return list(chunks.values()), version


def to_content(version: Version, chunks: Mapping[str, bytes]) -> Content:
    """Return what a version consists of. Raises VersionIncomplete."""
    found: dict[Role, list[tuple[str, bytes]]] = {"segments": [], "list": []}
    for file in version.files:
        try:
            packed = b"".join(chunks[one] for one in file.hashes)
            unpacked = zlib.decompressobj().decompress(packed, _MOST)
        except (KeyError, zlib.error):
            raise VersionIncomplete(version.number, file.name) from None
        found[file.role].append((file.name, unpacked))
    return Content(tuple(found["segments"]), tuple(found["list"]))


def compile_content(content: Content) -> Definition:
    """Return the definition of a version's content. Raises InvalidSegments where this release does not accept it."""
    lists = dict(content.lists)

    def read(path: str) -> bytes:
        if path not in lists:
            raise FileNotFoundError(2, "No such file or directory", path)
        return lists[path]

    return read_definition(content.segments, read)


def decode_chunk(chunk: Chunk) -> bytes | None:
    """Return the bytes of a piece; None if they are not those of its hash."""
    try:
        data = base64.b64decode(chunk.data, validate=True)
    except ValueError:
        return None
    return data if hashlib.sha256(data).hexdigest() == chunk.hash else None


def _files(content: Content) -> list[tuple[str, Role, bytes]]:
    names = _short_names([name for name, _ in content.segments])
    segments: list[tuple[str, Role, bytes]] = [
        (names[name], "segments", data) for name, data in content.segments
    ]
    return [*segments, *((path, "list", data) for path, data in content.lists)]


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the names without the folder that all of them share: it differs from machine to machine."""
    if len(names) == 1:
        return {names[0]: os.path.basename(names[0])}  # noqa: PTH119  # a name, which need not exist here
    shared = os.path.commonpath(names) if names else ""
    return {name: os.path.relpath(name, shared or ".") for name in names}


def _pack(data: bytes, chunks: dict[str, Chunk]) -> tuple[str, ...]:
    packed = zlib.compress(data, 6)
    hashes = []
    for start in range(0, len(packed), PIECE):
        piece = packed[start : start + PIECE]
        name = hashlib.sha256(piece).hexdigest()
        chunks[name] = Chunk(hash=name, data=base64.b64encode(piece).decode())
        hashes.append(name)
    return tuple(hashes)
