"""Keys, of which only hashes are kept: what each may send, and how often."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from resegment.embedded.folder import make_private
from resegment.errors import FolderNotWritable

PREFIX: Final = "rsk_"
KEY_FILE: Final = "intake.key"


@dataclass(frozen=True, slots=True)
class Key:
    """A key: whose it is, the hash of it, the sources that it may send (None: all), and requests a second."""

    name: str
    digest: str
    sources: frozenset[str] | None = None
    rate: float | None = None

    def may_send(self, source: str) -> bool:
        """Whether the key is for a source."""
        return self.sources is None or source in self.sources


def hash_key(key: str) -> str:
    """Return the hash of a key, as the file has it."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def make_key() -> tuple[str, str]:
    """Return a new key, and its hash."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, hash_key(key)


def keep_key(folder: Path) -> tuple[Path, Key]:
    """Return the key of this machine's own intake, and the file in `folder` that has it: made once, for this user alone.

    Raises FolderNotWritable.
    """
    path = folder / KEY_FILE
    try:
        make_private(folder)
        try:
            text = path.read_text("utf-8").strip()
        except FileNotFoundError:
            text = ""
        if not text.startswith(PREFIX):
            text, _ = make_key()
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{text}\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FolderNotWritable(
            folder, error if isinstance(error, OSError) else OSError(str(error))
        ) from error
    return path, Key("this machine", hash_key(text))


@dataclass(slots=True)
class RateLimit:
    """Requests a second of each key, in tokens that come back with time: at most those of two seconds at once."""

    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: Key, now: float) -> float:
        """Take a token; return the seconds to wait until there is one, or 0."""
        if key.rate is None:
            return 0.0
        most = max(1.0, key.rate * 2)
        left, since = self._left.get(key.digest, (most, now))
        left = min(most, left + (now - since) * key.rate)
        if left < 1.0:
            self._left[key.digest] = left, now
            return (1.0 - left) / key.rate
        self._left[key.digest] = left - 1.0, now
        return 0.0
