"""Tell the router that an account, or a person of it, was forgotten."""

from __future__ import annotations

import msgspec


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag="forgotten"):
    """Forget what is known of an account, at `at` (ms), as the operation `op` asks.

    Changes up to the number `sequence` count no more. With `person` only what may name or quote a person is forgotten: texts, values and outcomes. The outcomes that still count
    are told again after this.
    """

    account: str
    at: int
    sequence: int
    op: int = 0
    person: bool = False
