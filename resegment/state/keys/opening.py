"""Open the key store and the keyring that the settings name."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from resegment.errors import UserError
from resegment.schemas.privacy.wrapping import OperatorKey, parse_operator_key
from resegment.settings import Settings, read_secret
from resegment.state.keys.copying import copy_keys
from resegment.state.keys.keyring import Keyring, open_keyring
from resegment.state.keys.postgres import PostgresKeyStore
from resegment.state.keys.redis import RedisKeyStore
from resegment.state.keys.store import KeyStore
from resegment.state.redis.address import without_password
from resegment.state.redis.client import connect_redis


class KeySettings(UserError):
    """RESEGMENT_KEYS and RESEGMENT_KEY do not fit together."""


def has_keys(settings: Settings) -> bool:
    """Return whether personal fields are sealed. Raises KeySettings where only one of the two settings is there."""
    store = settings.keys is not None
    operator = settings.key is not None or settings.key_file is not None
    if store != operator:
        given, missing = ("KEYS", "KEY") if store else ("KEY", "KEYS")
        raise KeySettings(
            f"RESEGMENT_{given} is set, but RESEGMENT_{missing} is not",
            remedy="Set both to seal personal fields, or neither.",
        )
    return store


def read_operator_key(settings: Settings) -> OperatorKey:
    """Return the key of RESEGMENT_KEY. Raises BadOperatorKey and InsecureSettings."""
    return parse_operator_key(read_secret("key", settings.key, settings.key_file) or "")


def open_key_store(settings: Settings) -> KeyStore:
    """Return the store that RESEGMENT_KEYS names; nothing is connected yet. Raises KeySettings."""
    assert settings.keys is not None
    url = settings.keys.get_secret_value()
    durable = not settings.keys_allow_loss
    # the password of the state's Redis is for no other server
    own = settings.model_copy(
        update={"redis_username": None, "redis_password": None, "redis_password_file": None}
    )
    scheme = url.partition(":")[0]
    if scheme in ("postgresql", "postgres"):
        return PostgresKeyStore(url, settings.prefix, _hide_password(url), durable=durable)
    if scheme.startswith("redis") or scheme == "unix":
        return RedisKeyStore(
            lambda: connect_redis(own, url), settings.prefix, without_password(url), durable=durable
        )
    raise KeySettings(
        "RESEGMENT_KEYS names no key store",
        remedy="Write redis://HOST:PORT, rediss://HOST:PORT or postgresql://USER@HOST/DATABASE.",
    )


async def open_keys(settings: Settings) -> Keyring | None:
    """Return the keyring of the prefix, None where personal fields are not sealed.

    Raises KeySettings, and as `resegment.state.keys.keyring.open_keyring` does.
    """
    if not has_keys(settings):
        return None
    operator = read_operator_key(settings)
    return await open_keyring(open_key_store(settings), operator, settings.prefix)


async def copy_keys_to(settings: Settings, prefix: str) -> None:
    """Copy the keys of the settings' prefix to another one, where personal fields are sealed. Raises as `copy_keys` does."""
    if not has_keys(settings):
        return
    old, new = open_key_store(settings), open_key_store(settings.model_copy(update={"prefix": prefix}))
    try:
        await copy_keys(old, new, settings.prefix)
    finally:
        await old.aclose()
        await new.aclose()


def _hide_password(url: str) -> str:
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit((parts.scheme, user + parts.netloc.rpartition("@")[2], parts.path, "", ""))
