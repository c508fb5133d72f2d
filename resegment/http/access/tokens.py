"""Make tokens of the console, find and revoke them. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Final

from resegment.errors import UserError
from resegment.state.access.records import AccessStore, Token

PREFIX: Final = "rst_"
LONGEST: Final = 200
"""Characters of what is given as a token: a longer text is none."""


class TokenTaken(UserError):
    """A token of that name can be used already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is a token {name!r} already",
            remedy=f"Choose another name, or revoke it first: resegment tokens revoke {name}",
        )
        self.name = name


class NoSuchToken(UserError):
    """No token of that name can be used."""

    def __init__(self, name: str, names: list[str]) -> None:
        super().__init__(
            f"no token is named {name!r}",
            remedy=f"Tokens that can be used: {', '.join(sorted(names))}."
            if names
            else "No token can be used. `resegment tokens create NAME` makes one.",
        )
        self.name = name


def make_token() -> tuple[str, str]:
    """Return a new token, and its hash."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return the hash of a token. It is of 256 random bits, so a fast hash is safe."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


async def add_token(store: AccessStore, token: Token) -> str:
    """Keep a token of that description and return it, which is shown only now. Raises TokenTaken."""
    live = _by_name(await store.read_tokens(), token.made)
    if token.name in live:
        raise TokenTaken(token.name)
    text, digest = make_token()
    await store.keep_token(digest, token)
    return text


async def revoke_token(store: AccessStore, name: str, now: int) -> Token:
    """Revoke the token of that name, which ends its sessions. Raises NoSuchToken."""
    live = _by_name(await store.read_tokens(), now)
    if name not in live:
        raise NoSuchToken(name, list(live))
    digest, token = live[name]
    revoked = Token(
        name=token.name,
        role=token.role,
        made=token.made,
        made_by=token.made_by,
        areas=token.areas,
        expires=token.expires,
        revoked=now,
    )
    await store.keep_token(digest, revoked)
    return revoked


async def find_live(store: AccessStore, text: str, now: int) -> tuple[str, Token] | None:
    """Return the hash and the description of a token that may be used at `now` (ms); None for anything else."""
    if not text.startswith(PREFIX) or len(text) > LONGEST:
        return None
    digest = hash_token(text)
    token = await store.find_token(digest)
    return None if token is None or not token.is_live(now) else (digest, token)


def _by_name(tokens: Mapping[str, Token], now: int) -> dict[str, tuple[str, Token]]:
    return {token.name: (digest, token) for digest, token in tokens.items() if token.is_live(now)}
