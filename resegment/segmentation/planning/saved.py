"""Save a plan with the content that it would apply, so that exactly this is applied later, once."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Final

import msgspec

from resegment.errors import UserError
from resegment.segmentation.definition import Content
from resegment.segmentation.planning.plan import Plan

FORMAT: Final = "resegment-plan/1"
_MOST: Final = 128 * 1024 * 1024
"""Bytes that one file may unpack to."""


class WrongPlan(UserError):
    """The file is not a saved plan, or was changed after it was saved."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path} is not a saved plan: {problem}", remedy="Make one with `resegment plan FILE --out PLAN`."
        )
        self.path = path


class _File(msgspec.Struct, frozen=True):
    name: str
    data: str
    """Compressed, in base64."""


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    id: str
    plan: Plan
    segments: tuple[_File, ...]
    lists: tuple[_File, ...]
    checksum: str = ""


class SavedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, the content of its new version, and the id under which it can be applied once."""

    id: str
    plan: Plan
    content: Content


def encode_saved(saved: SavedPlan) -> bytes:
    """Return the bytes of the file."""
    whole = _Saved(
        format=FORMAT,
        id=saved.id,
        plan=saved.plan,
        segments=tuple(_pack(*one) for one in saved.content.segments),
        lists=tuple(_pack(*one) for one in saved.content.lists),
    )
    return msgspec.json.encode(msgspec.structs.replace(whole, checksum=_sum(whole)))


def decode_saved(path: str, data: bytes) -> SavedPlan:
    """Return the plan that a file holds. Raises WrongPlan."""
    try:
        whole = msgspec.json.decode(data, type=_Saved)
    except msgspec.DecodeError as error:
        raise WrongPlan(path, str(error)) from error
    if whole.format != FORMAT:
        raise WrongPlan(path, f"its format is {whole.format[:40]!r}, and this release reads {FORMAT}")
    if whole.checksum != _sum(msgspec.structs.replace(whole, checksum="")):
        raise WrongPlan(path, "it was changed after it was saved")
    try:
        content = Content(tuple(map(_unpack, whole.segments)), tuple(map(_unpack, whole.lists)))
    except (ValueError, zlib.error) as error:
        raise WrongPlan(path, str(error)) from error
    return SavedPlan(id=whole.id, plan=whole.plan, content=content)


def looks_saved(data: bytes) -> bool:
    """Return whether a file looks like a saved plan, not like a segments file."""
    return data[:64].lstrip().startswith(b'{"format":"resegment-plan')


def _sum(whole: _Saved) -> str:
    return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()


def _pack(name: str, data: bytes) -> _File:
    return _File(name, base64.b64encode(zlib.compress(data, 6)).decode())


def _unpack(file: _File) -> tuple[str, bytes]:
    return file.name, zlib.decompressobj().decompress(base64.b64decode(file.data, validate=True), _MOST)
