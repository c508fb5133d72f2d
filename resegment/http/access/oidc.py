"""Log in by OpenID Connect: the code flow with state, nonce and PKCE, by Authlib."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import httpx

from resegment.errors import ResegmentError, TransientError, UserError
from resegment.http.access.users import User
from resegment.state.access.records import Role
from resegment.state.redis.address import is_loopback

ANYBODY: Final = "*"
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by the provider's own key: not `none`, and not by a shared secret."""
_PATIENCE: Final = 10.0
_LONGEST_NAME: Final = 200


class OidcNotInstalled(UserError):
    """Authlib is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "a login by OpenID Connect needs Authlib, which is not installed",
            remedy="Install it: pip install 'resegment[oidc]'",
        )


class WrongOidc(UserError):
    """The settings of the login contradict each other, or would let anybody in."""


class ProviderAway(TransientError):
    """The provider of the login does not answer, or answers something else."""

    def __init__(self, issuer: str, problem: str) -> None:
        super().__init__(
            f"the login at {issuer} does not work: {problem}",
            remedy="Try again; the log of the console has more.",
        )


class LoginRefused(ResegmentError):
    """The provider's answer is no proof of who logs in, or they may not use the console."""


class Begun(NamedTuple):
    """A login that has begun: where the browser goes, and what is kept until it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


class Provider(Protocol):
    """Logs people in at a provider of OpenID Connect."""

    async def begin(self, redirect_uri: str) -> Begun:
        """Begin a login. Raises ProviderAway."""
        ...

    async def finish(self, code: str, redirect_uri: str, begun: Begun) -> User:
        """Return who has logged in. Raises ProviderAway and LoginRefused."""
        ...


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The provider, and who of it may do what: members of groups, or people by their verified address of email."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    scope: str = "openid email profile"
    claim: str = "groups"
    operators: frozenset[str] = frozenset()
    viewers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        host = parts.hostname or ""
        if (
            not host
            or parts.scheme not in ("https", "http")
            or (parts.scheme == "http" and not is_loopback(host))
        ):
            raise WrongOidc(
                f"RESEGMENT_OIDC_ISSUER is no address of a provider: {self.issuer!r}",
                remedy="Write its https:// URL, without /.well-known/openid-configuration.",
            )
        if not self.client_id:
            raise WrongOidc(
                "RESEGMENT_OIDC_ISSUER is set without RESEGMENT_OIDC_CLIENT_ID",
                remedy="Register the console at the provider, and set the id that it got there.",
            )
        if not self.operators | self.viewers:
            raise WrongOidc(
                "nobody may log in: neither RESEGMENT_OIDC_VIEWERS nor RESEGMENT_OIDC_OPERATORS is set",
                remedy="Name groups or addresses of email, or let all people of the provider read: RESEGMENT_OIDC_VIEWERS=*",
            )
        if ANYBODY in self.operators:
            raise WrongOidc(
                "RESEGMENT_OIDC_OPERATORS would let everybody change the prefix",
                remedy="Name groups or addresses of email. * is only for RESEGMENT_OIDC_VIEWERS.",
            )


def map_role(claims: Mapping[str, Any], settings: OidcSettings) -> Role | None:
    """Return the role of a person by what the provider says of them; None if they may not use the console."""
    names = set(read_groups(claims, settings.claim))
    if (email := verified_email(claims)) is not None:
        names.add(email)
    if names & _folded(settings.operators):
        return "operator"
    if ANYBODY in settings.viewers or names & _folded(settings.viewers):
        return "viewer"
    return None


def read_groups(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the groups in a claim: a text or a list of texts. A path with dots leads into nested claims.

    What looks like an address of email is left out: only the verified one counts.
    """
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return [one for one in values if isinstance(one, str) and "@" not in one and one != ANYBODY]


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """Return the address of email that the provider has verified; None without one."""
    email = claims.get("email")
    return email.lower() if isinstance(email, str) and claims.get("email_verified") is True else None


def name_of(claims: Mapping[str, Any]) -> str:
    """Return the name for the audit log: the verified address of email, else the provider's own id. Others can be chosen."""
    return (verified_email(claims) or str(claims.get("sub")))[:_LONGEST_NAME]


def _folded(names: Iterable[str]) -> set[str]:
    return {one.lower() if "@" in one else one for one in names}


class AuthlibProvider:
    """The `Provider` by Authlib. Raises OidcNotInstalled."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        errors, make = _load()
        self._errors: tuple[type[Exception], ...] = (*errors, ValueError, KeyError, TypeError)
        self._app: Any = make(
            None,
            "resegment",
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=settings.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.scope,
                "code_challenge_method": "S256",
                "timeout": _PATIENCE,
                # without a secret, the client is a public one, which PKCE protects
                **({} if settings.client_secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def begin(self, redirect_uri: str) -> Begun:
        try:
            await self._read_metadata()
            found = await self._app.create_authorization_url(redirect_uri)
        except (httpx.HTTPError, ValueError, RuntimeError) as error:
            raise ProviderAway(self._settings.issuer, _words(error)) from error
        return Begun(found["url"], found["state"], found["nonce"], found["code_verifier"])

    async def finish(self, code: str, redirect_uri: str, begun: Begun) -> User:
        try:
            await self._read_metadata()
            token = await self._app.fetch_access_token(
                redirect_uri=redirect_uri, code=code, code_verifier=begun.verifier
            )
            claims = await self._app.parse_id_token(token, nonce=begun.nonce)
        except httpx.HTTPError as error:
            raise ProviderAway(self._settings.issuer, _words(error)) from error
        except self._errors as error:
            raise LoginRefused(
                "the provider's answer is no proof of who you are", remedy="Sign in again."
            ) from error
        if not claims or not isinstance(claims.get("sub"), str):
            raise LoginRefused(
                "the provider does not say who you are", remedy="Its answer needs an id_token."
            )
        role = map_role(claims, self._settings)
        if role is None:
            raise LoginRefused(
                f"{name_of(claims)} may not use this console",
                remedy="Ask who runs it to add you, or a group of yours, to RESEGMENT_OIDC_VIEWERS.",
            )
        return User(name_of(claims), role)

    async def _read_metadata(self) -> None:
        """Read what the provider says of itself, and hold it to the issuer that is trusted."""
        metadata = await self._app.load_server_metadata()
        issuer = str(metadata.get("issuer", ""))
        if issuer.rstrip("/") != self._settings.issuer.rstrip("/"):
            self._app.server_metadata.pop("_loaded_at", None)
            raise ProviderAway(self._settings.issuer, f"it says that it is {issuer[:200]!r}")
        signed = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [one for one in signed if one in ALGORITHMS] or [
            "RS256"
        ]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300] if str(error) else type(error).__name__


def _load() -> tuple[tuple[type[Exception], ...], Any]:
    """Return the root of Authlib's and its JOSE library's errors, and the class of its client. Raises OidcNotInstalled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wishes for another HTTP library than the one that is here
        try:
            client = importlib.import_module("authlib.integrations.starlette_client")
            errors = importlib.import_module("authlib.common.errors")
            jose = importlib.import_module("joserfc.errors")
        except ImportError as error:
            raise OidcNotInstalled from error
    return (errors.AuthlibBaseError, jose.JoseError), client.StarletteOAuth2App
