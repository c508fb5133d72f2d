"""What the key store keeps of a forget until it is complete: it names the person, so it is nowhere else."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Final

import msgspec

from resegment.schemas.identities.records import Forget
from resegment.schemas.privacy.fields import normalize_person, spell_plainly
from resegment.state.keys.keyring import Keyring
from resegment.state.keys.rotation import pending_label


class PendingForget(msgspec.Struct, frozen=True, kw_only=True):
    """The wish as it is written to `identities`, and all spellings of the person that are known."""

    wish: Forget
    spellings: tuple[str, ...] = ()

    def names(self, text: str) -> bool:
        """Return whether a text is a spelling of the person."""
        return normalize_person(text) in self.spellings

    def quotes(self, text: str) -> bool:
        """Return whether a spelling of the person is in a text, as words of their own: Ann is not in Joanna."""
        plain = spell_plainly(text)
        return any(
            one in plain and re.search(rf"(?<!\w){re.escape(one)}(?!\w)", plain) is not None
            for one in self.spellings
        )


_decoder: Final = msgspec.json.Decoder(PendingForget)


def new_pending() -> str:
    """Return an id for a forget."""
    return uuid.uuid4().hex


async def keep_pending(ring: Keyring, pending: PendingForget) -> None:
    """Keep a forget until it is complete. Raises KeyStoreUnavailable."""
    name = pending.wish.pending
    wrapped = ring.operator.wrap(msgspec.json.encode(pending), pending_label(name)).decode()
    await ring.store.put_pending(name, wrapped)


async def read_pending(ring: Keyring) -> Mapping[str, PendingForget]:
    """Return the forgets that are not complete. Raises KeyStoreUnavailable and BadOperatorKey."""
    return {
        name: _decoder.decode(ring.operator.unwrap(wrapped.encode(), pending_label(name)))
        for name, wrapped in (await ring.store.pending()).items()
    }
