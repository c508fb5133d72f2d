"""Make the entrance of the console from the settings."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

    from resegment.http.access.entrance import Entrance
    from resegment.http.access.oidc import OidcSettings
    from resegment.http.access.policy import Policy
    from resegment.http.operations.operations import Operations
    from resegment.settings import Settings
    from resegment.sinks.webhook.endpoint import Endpoint
    from resegment.streams.live.connection import LiveConnection


def open_entrance(settings: Settings, client: Redis, prefix: str) -> Entrance:
    """Return who may use the console of a prefix, as the settings say. Nothing is read from Redis yet.

    Raises WrongAddress, WrongOidc, OidcNotInstalled and InsecureSettings.
    """
    from resegment.http.access.entrance import Entrance
    from resegment.http.access.oidc import AuthlibProvider
    from resegment.state.access.redis import RedisAccessStore

    oidc = read_oidc(settings)
    provider = None if oidc is None else AuthlibProvider(oidc)
    return Entrance(prefix, RedisAccessStore(client, prefix), read_policy(settings), provider)


async def check_login(entrance: Entrance) -> None:
    """Raise NoLogin where a login is needed and nobody could log in, and StoreUnavailable."""
    tokens = await entrance.store.read_tokens()
    entrance.policy.check_start(tokens.values(), entrance.now(), oidc=entrance.provider is not None)


async def advise_login(entrance: Entrance) -> str | None:
    """Return what is missing where the console asks for a login and nobody could log in. Raises StoreUnavailable."""
    from resegment.http.access.policy import NoLogin

    try:
        await check_login(entrance)
    except NoLogin:
        return "the console asks for a login, and nobody has one yet: `resegment tokens create NAME` makes a token"
    return None


def read_policy(settings: Settings) -> Policy:
    """Return who gets in where, as the settings say. Raises WrongAddress."""
    from resegment.cli.operations.auditing import name_actor
    from resegment.http.access.policy import Policy
    from resegment.http.access.sessions import Lifetimes

    return Policy(
        address=settings.http_host,
        url=settings.console_url,
        local=None if settings.console_local == "none" else settings.console_local,
        local_name=name_actor(settings),
        lifetimes=Lifetimes(
            idle=int(settings.console_idle.total_seconds() * 1000),
            whole=int(settings.console_session.total_seconds() * 1000),
        ),
    )


def read_oidc(settings: Settings) -> OidcSettings | None:
    """Return the provider of logins that the settings name; None without one. Raises WrongOidc and InsecureSettings."""
    from resegment.http.access.oidc import OidcSettings
    from resegment.settings import read_secret

    if settings.oidc_issuer is None:
        return None
    secret = read_secret("oidc_client_secret", settings.oidc_client_secret, settings.oidc_client_secret_file)
    return OidcSettings(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id or "",
        client_secret=secret,
        scope=settings.oidc_scope,
        claim=settings.oidc_claim,
        operators=_split(settings.oidc_operators),
        viewers=_split(settings.oidc_viewers),
    )


def _split(text: str) -> frozenset[str]:
    return frozenset(one.strip() for one in text.split(",") if one.strip())


def open_operations(settings: Settings, connection: LiveConnection) -> Operations:
    """Return what operators do in the console of a prefix. The files of the intake and of webhooks are read when needed."""
    from resegment.cli.endpoints import read_webhooks
    from resegment.http.intake.access import Access, read_access
    from resegment.http.operations.audit import LiveAuditLog
    from resegment.http.operations.endpoints import LiveEndpoints
    from resegment.http.operations.letters import LiveLetters
    from resegment.http.operations.operations import Operations
    from resegment.http.operations.owners import LiveOwners
    from resegment.http.operations.place import Place
    from resegment.http.operations.sources import LiveSources
    from resegment.http.operations.versions import LiveVersions

    place = Place(connection, idempotent=settings.kafka is not None)

    def access() -> Access:
        return Access() if settings.intake is None else read_access(settings.intake)

    def endpoints() -> Mapping[str, Endpoint]:
        return {} if settings.webhooks is None else read_webhooks(settings).endpoints

    return Operations(
        LiveLetters(place, access),
        LiveVersions(place),
        LiveOwners(place),
        LiveEndpoints(place, endpoints),
        LiveSources(place),
        LiveAuditLog(place),
    )
