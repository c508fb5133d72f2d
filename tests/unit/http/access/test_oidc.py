"""Logins by OpenID Connect, at a real provider over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from resegment.http.access import oidc
from resegment.http.access.oidc import (
    AuthlibProvider,
    OidcNotInstalled,
    OidcSettings,
    WrongOidc,
    map_role,
    name_of,
)
from tests.servers.openid import OpenId, openid
from tests.unit.http.access.world import World, make_world

ISSUER = "https://login.acme.com"


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenId]:
    with openid() as running:
        running.add("u-ann", email="Ann@acme.com", email_verified=True, groups=["gtm-operators", "all"])
        running.add("u-vic", email="vic@acme.com", email_verified=True, groups=["gtm"])
        running.add("u-eve", email="ann@acme.com", email_verified=False, groups=["guests"])
        yield running


@pytest.fixture
def world(provider: OpenId) -> World:
    provider.forge = None
    return console(provider.url)


def console(issuer: str, **given: Any) -> World:
    settings = OidcSettings(
        issuer,
        "resegment",
        "a secret",
        operators=frozenset({"gtm-operators", "ann@acme.com"}),
        viewers=frozenset({"gtm"}),
    )
    return make_world(AuthlibProvider(settings), **given)


async def begin(browser: httpx.AsyncClient, place: str = "/page") -> str:
    sent = await browser.get("/login/oidc", params={"next": place})
    assert sent.status_code == 303
    return sent.headers["location"]


async def test_an_operator_logs_in_by_the_group_that_the_provider_names(
    world: World, provider: OpenId
) -> None:
    async with world.browser() as browser:
        assert "Sign in with your account" in (await browser.get("/login")).text
        before = browser.cookies["resegment-demo"]
        login = await begin(browser, "/page?x=1")
        back = provider.approve(login, "u-ann")
        entered = await browser.get(back)
        assert (entered.status_code, entered.headers["location"]) == (303, "/page?x=1")
        assert browser.cookies["resegment-demo"] != before
        assert "resegment-demo-login" not in browser.cookies
        assert (await browser.get("/page")).text.startswith("ann@acme.com operator")
    asked = provider.begun[-1]
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 20
    assert len(asked["state"]) >= 20
    assert asked["redirect_uri"] == "http://localhost:8300/login/callback"
    assert not provider.wrong


async def test_a_viewer_logs_in_and_may_not_act(world: World, provider: OpenId) -> None:
    async with world.browser() as browser:
        await browser.get(provider.approve(await begin(browser), "u-vic"))
        page = await browser.get("/page")
        assert page.text.startswith("vic@acme.com viewer")
        csrf = page.text.split('value="')[1][:64]
        assert (await browser.post("/act", data={"csrf": csrf})).status_code == 403


@pytest.mark.parametrize("sub", ["u-eve", "u-unknown"])
async def test_others_of_the_provider_are_refused_also_with_a_borrowed_address(
    world: World, provider: OpenId, sub: str
) -> None:
    async with world.browser() as browser:
        refused = await browser.get(provider.approve(await begin(browser), sub))
        assert refused.status_code == 403
        assert f"{sub} may not use this console" in refused.text
        assert (await browser.get("/page")).status_code == 303


async def test_a_person_who_says_no_at_the_provider_gets_no_session(world: World, provider: OpenId) -> None:
    async with world.browser() as browser:
        login = await begin(browser)
        state = parse_qs(urlsplit(login).query)["state"][0]
        refused = await browser.get(f"/login/callback?error=access_denied&state={state}")
        assert refused.status_code == 403
        assert "did not let you in" in refused.text


async def test_the_answer_to_the_login_of_another_browser_is_worth_nothing(
    world: World, provider: OpenId
) -> None:
    async with world.browser() as ann, world.browser() as eve:
        hers = provider.approve(await begin(eve), "u-ann")
        assert (await ann.get(hers)).status_code == 403
        await begin(ann)
        assert (await ann.get(hers)).status_code == 403
        assert (await ann.get("/page")).status_code == 303


@pytest.mark.parametrize(
    "path",
    ["/login/callback", "/login/callback?code=x", "/login/callback?code=x&state=", "/login/callback?state=y"],
)
async def test_an_answer_that_nobody_asked_for_is_refused(world: World, path: str) -> None:
    async with world.browser() as browser:
        assert (await browser.get(path)).status_code == 403
        await begin(browser)
        assert (await browser.get(path)).status_code == 403


async def test_an_answer_can_be_used_once(world: World, provider: OpenId) -> None:
    async with world.browser() as browser:
        login = await begin(browser)
        kept = browser.cookies["resegment-demo-login"]
        back = provider.approve(login, "u-ann")
        assert (await browser.get(back)).status_code == 303
        assert (await browser.get(back)).status_code == 403
        browser.cookies.set("resegment-demo-login", kept)
        assert (await browser.get(back)).status_code == 403


async def test_a_login_with_the_nonce_of_another_is_refused(world: World, provider: OpenId) -> None:
    provider.forge = lambda query: query | {"nonce": "another-nonce-of-a-replayed-login"}
    async with world.browser() as browser:
        refused = await browser.get(provider.approve(await begin(browser), "u-ann"))
    assert refused.status_code == 403
    assert "no proof of who you are" in refused.text


async def test_a_code_without_its_verifier_is_refused(world: World, provider: OpenId) -> None:
    provider.forge = lambda query: query | {"code_challenge": "x" * 43}
    async with world.browser() as browser:
        assert (await browser.get(provider.approve(await begin(browser), "u-ann"))).status_code == 403
    assert provider.wrong.pop()


async def test_an_id_token_for_another_program_is_refused(provider: OpenId) -> None:
    provider.forge = lambda query: query | {"client_id": "another"}
    world = console(provider.url)
    async with world.browser() as browser:
        assert (await browser.get(provider.approve(await begin(browser), "u-ann"))).status_code == 403


async def test_a_login_leads_to_no_other_site(world: World, provider: OpenId) -> None:
    async with world.browser() as browser:
        login = await begin(browser, "//evil.example/x")
        entered = await browser.get(provider.approve(login, "u-ann"))
    assert entered.headers["location"] == "/"


async def test_the_provider_sends_people_back_to_the_address_that_the_settings_name(provider: OpenId) -> None:
    world = console(provider.url, url="https://segments.acme.com")
    async with world.browser("https://segments.acme.com") as browser:
        login = await begin(browser)
        assert parse_qs(urlsplit(login).query)["redirect_uri"] == ["https://segments.acme.com/login/callback"]
        entered = await browser.get(provider.approve(login, "u-ann"))
        assert entered.status_code == 303
        assert all("Secure" in one for one in entered.headers.get_list("set-cookie"))


async def test_a_provider_that_is_away_is_told_from_a_wrong_login() -> None:
    world = console("http://127.0.0.1:1")
    async with world.browser() as browser:
        answered = await browser.get("/login/oidc")
    assert answered.status_code == 502
    assert "does not work now" in answered.text


async def test_a_provider_that_claims_to_be_another_is_refused(world: World, provider: OpenId) -> None:
    provider.host = "login.evil.example"
    async with world.browser() as browser:
        assert (await browser.get("/login/oidc")).status_code == 502
        provider.host = None
        assert (await browser.get("/login/oidc")).status_code == 303


async def test_without_a_provider_there_is_no_such_login() -> None:
    async with make_world().browser() as browser:
        assert (await browser.get("/login/oidc")).status_code == 404
        assert "your account" not in (await browser.get("/login")).text


def settings(**given: Any) -> OidcSettings:
    return OidcSettings(ISSUER, "id", **({"viewers": frozenset({"gtm"})} | given))


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["gtm"]}, "viewer"),
        ({"groups": "gtm"}, "viewer"),
        ({"groups": ["gtm", "ops"]}, "operator"),
        ({"groups": ["GTM"]}, None),
        ({"groups": {"gtm": True}}, None),
        ({"groups": None}, None),
        ({"groups": ["*"]}, None),
        ({"groups": ["ann@acme.com"]}, None),
        ({"email": "Ann@Acme.com", "email_verified": True}, "operator"),
        ({"email": "ann@acme.com", "email_verified": "true"}, None),
        ({"email": "ann@acme.com"}, None),
        ({}, None),
    ],
)
def test_a_role_follows_from_groups_and_from_a_verified_address(
    claims: dict[str, Any], role: str | None
) -> None:
    assert map_role(claims, settings(operators=frozenset({"ops", "Ann@acme.com"}))) == role


def test_groups_may_be_nested_or_under_a_name_with_dots() -> None:
    keycloak = settings(claim="realm_access.roles")
    auth0 = settings(claim="https://acme.com/groups")
    assert map_role({"realm_access": {"roles": ["gtm"]}}, keycloak) == "viewer"
    assert map_role({"https://acme.com/groups": ["gtm"]}, auth0) == "viewer"
    assert map_role({"realm_access": "gtm"}, keycloak) is None


def test_everybody_may_read_where_the_settings_say_so() -> None:
    assert map_role({}, settings(viewers=frozenset({"*"}))) == "viewer"


def test_the_name_in_the_audit_log_cannot_be_chosen() -> None:
    assert name_of({"sub": "1", "email": "Ann@acme.com", "email_verified": True}) == "ann@acme.com"
    assert name_of({"sub": "1", "email": "boss@acme.com", "preferred_username": "boss"}) == "1"


@pytest.mark.parametrize(
    "given",
    [
        {"viewers": frozenset()},
        {"operators": frozenset({"*"})},
        {"issuer": "http://login.acme.com"},
        {"issuer": "login.acme.com"},
        {"client_id": ""},
    ],
)
def test_settings_that_would_let_anybody_in_or_nobody_are_refused(given: dict[str, Any]) -> None:
    wanted = {"issuer": ISSUER, "client_id": "id", "viewers": frozenset({"gtm"})} | given
    with pytest.raises(WrongOidc) as refused:
        OidcSettings(**wanted)
    assert "RESEGMENT_OIDC_" in refused.value.message


def test_without_authlib_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authlib.integrations.starlette_client", None)
    with pytest.raises(OidcNotInstalled) as missing:
        AuthlibProvider(settings())
    assert missing.value.remedy == "Install it: pip install 'resegment[oidc]'"
    assert "none" not in oidc.ALGORITHMS
