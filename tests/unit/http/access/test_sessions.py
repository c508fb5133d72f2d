"""Sessions: how they begin, and all the ways in which they end."""

from __future__ import annotations

import pytest

from resegment.http.access.places import check_next
from resegment.http.access.policy import NoLogin, Policy, WrongAddress
from resegment.http.access.sessions import Lifetimes, is_id, make_id
from resegment.http.access.tokens import NoSuchToken, TokenTaken, add_token, hash_token, revoke_token
from resegment.http.access.users import MayNotAct, User, require
from resegment.state.access.records import Token
from tests.unit.http.access.world import Make, World, read_csrf

HOURS = 60


async def test_a_login_gives_the_browser_a_new_id(world: World) -> None:
    async with world.browser() as browser:
        await browser.get("/login")
        before = browser.cookies["resegment-demo"]
        await world.sign_in(browser, await world.token())
        after = browser.cookies["resegment-demo"]
    assert before != after
    async with world.browser() as attacker:
        attacker.cookies.set("resegment-demo", before)
        assert (await attacker.get("/page")).status_code == 303


async def test_an_id_that_the_browser_brings_never_becomes_a_session(world: World) -> None:
    fixed = make_id()
    async with world.browser() as browser:
        browser.cookies.set("resegment-demo", fixed)
        entered = await world.sign_in(browser, await world.token())
        assert fixed not in entered.headers["set-cookie"]
    async with world.browser() as attacker:
        attacker.cookies.set("resegment-demo", fixed)
        assert (await attacker.get("/page")).status_code == 303


async def test_the_store_knows_neither_ids_nor_tokens(world: World) -> None:
    token = await world.token()
    async with world.browser() as browser:
        await world.sign_in(browser, token)
        sid = browser.cookies["resegment-demo"]
    kept = repr((world.store.tokens, world.store.sessions))
    assert token not in kept
    assert sid not in kept
    assert hash_token(token) in kept


async def test_a_session_ends_when_nobody_uses_it(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        for _ in range(5):
            world.clock.advance(50)
            assert (await browser.get("/page")).status_code == 200
        world.clock.advance(61)
        assert (await browser.get("/page")).status_code == 303


async def test_what_a_page_asks_by_itself_does_not_keep_the_session_alive(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        for headers in ({"accept": "text/event-stream"}, {"x-background": "1"}):
            world.clock.advance(25)
            await browser.get("/page", headers=headers)
        world.clock.advance(15)
        assert (await browser.get("/page")).status_code == 303


async def test_a_session_ends_after_a_day_of_work_however_busy(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        for _ in range(15):
            world.clock.advance(30)
            assert (await browser.get("/page")).status_code == 200
        world.clock.advance(31)
        assert (await browser.get("/page")).status_code == 303


async def test_signing_out_ends_the_session_also_for_who_copied_the_cookie(world: World) -> None:
    async with world.browser() as browser, world.browser() as thief:
        await world.sign_in(browser, await world.token())
        thief.cookies.set("resegment-demo", browser.cookies["resegment-demo"])
        assert (await thief.get("/page")).status_code == 200
        csrf = await read_csrf(browser, "/page")
        assert (await browser.post("/logout", data={"csrf": "x"})).status_code == 403
        left = await browser.post("/logout", data={"csrf": csrf})
        assert (left.status_code, left.headers["location"]) == (303, "/login")
        assert "Max-Age=0" in left.headers["set-cookie"]
        assert (await thief.get("/page")).status_code == 303


async def test_a_viewer_may_sign_out(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token("vic", "viewer"))
        csrf = await read_csrf(browser, "/page")
        assert (await browser.post("/logout", data={"csrf": csrf})).status_code == 303


async def test_a_revoked_token_ends_its_sessions_and_no_others(world: World) -> None:
    ann, bob = await world.token("ann"), await world.token("bob")
    async with world.browser() as one, world.browser() as other:
        await world.sign_in(one, ann)
        await world.sign_in(other, bob)
        await revoke_token(world.store, "ann", world.clock.now())
        assert (await one.get("/page")).status_code == 303
        assert (await other.get("/page")).status_code == 200
        assert (await one.get("/page", headers={"authorization": f"Bearer {ann}"})).status_code == 303
        assert (await world.sign_in(one, ann)).status_code == 401


async def test_a_token_ends_by_itself_and_its_session_with_it(world: World) -> None:
    token = await world.token(expires=world.clock.now() + 30 * 60_000)
    async with world.browser() as browser:
        await world.sign_in(browser, token)
        world.clock.advance(29)
        assert (await browser.get("/page")).status_code == 200
        world.clock.advance(1)
        assert (await browser.get("/page")).status_code == 303


async def test_names_of_tokens_are_unique_while_they_can_be_used(world: World) -> None:
    await world.token("ann")
    with pytest.raises(TokenTaken):
        await world.token("ann")
    await revoke_token(world.store, "ann", world.clock.now())
    with pytest.raises(NoSuchToken, match="ann"):
        await revoke_token(world.store, "ann", world.clock.now())
    again = await add_token(
        world.store, Token(name="ann", role="viewer", made=world.clock.now(), made_by="root")
    )
    assert again.startswith("rst_")


async def test_failed_logins_of_one_address_are_limited_and_others_get_in(world: World) -> None:
    token = await world.token()
    async with world.browser(address="10.0.0.1") as guesser, world.browser(address="10.0.0.2") as ann:
        for _ in range(10):
            assert (await world.sign_in(guesser, "rst_guess")).status_code == 401
        limited = await world.sign_in(guesser, token)
        assert limited.status_code == 429
        assert 0 < int(limited.headers["retry-after"]) <= 60
        for given, status in ((token, 200), ("rst_guess", 429)):
            bearer = await guesser.get("/page", headers={"authorization": f"Bearer {given}"})
            assert bearer.status_code == status
        assert (await world.sign_in(ann, token)).status_code == 303
        world.clock.advance(1.1)
        assert (await world.sign_in(guesser, token)).status_code == 303


async def test_failed_logins_of_many_addresses_are_limited_together_and_sessions_stay(world: World) -> None:
    token = await world.token()
    async with world.browser() as ann:
        await world.sign_in(ann, token)
        for number in range(301):
            world.entrance.attempts.fail(f"10.0.0.{number}", world.clock.seconds())
        assert (await world.sign_in(ann, token)).status_code == 429
        assert (await ann.get("/page")).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie: a=b\r\nX: y",
        "/ /evil.example",
        "///evil.example",
        "http:evil.example",
        "evil.example",
        "/" + "a" * 3_000,
        "/\u2028x",
        "",
        None,
    ],
)
async def test_a_login_leads_nowhere_else(world: World, given: str | None) -> None:
    assert check_next(given) == "/"
    async with world.browser() as browser:
        entered = await world.sign_in(
            browser, await world.token(), **({} if given is None else {"next": given})
        )
    assert entered.headers["location"] == "/"


@pytest.mark.parametrize(
    "given", ["/accounts/acme.com?at=2026-01-01", "/a//b", "/?next=https://x.com", "/a%20b#c"]
)
def test_a_login_leads_back_to_the_page(given: str) -> None:
    assert check_next(given) == given


def test_ids_are_told_from_other_cookies() -> None:
    assert is_id(make_id())
    assert not any(map(is_id, ["", "x", "é" * 43, "a b" * 20, "a" * 200, "\x00" * 43]))


def test_operators_may_be_limited_to_some_areas() -> None:
    everything, some = User("ann", "operator"), User("bob", "operator", ("dead-letters",))
    assert everything.may("versions")
    assert some.may("dead-letters")
    with pytest.raises(
        MayNotAct, match="bob may not change versions: the role is operator, for dead-letters only"
    ):
        require(some, "versions")
    with pytest.raises(MayNotAct, match="vic may not change anything: the role is viewer"):
        require(User("vic", "viewer"), "dead-letters")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.1.2.3", "segments.acme.com"])  # noqa: S104
def test_a_start_that_would_be_open_to_everybody_is_refused(address: str) -> None:
    live = Token(name="ann", role="viewer", made=0, made_by="root")
    ended = Token(name="ann", role="viewer", made=0, made_by="root", expires=5)
    policy = Policy(address)
    with pytest.raises(NoLogin, match="everybody who reaches"):
        policy.check_start([ended], 10, oidc=False)
    policy.check_start([ended, live], 10, oidc=False)
    policy.check_start([], 10, oidc=True)


def test_loopback_starts_without_a_login_unless_the_settings_ask_for_one() -> None:
    Policy("127.0.0.1").check_start([], 10, oidc=False)
    with pytest.raises(NoLogin):
        Policy("127.0.0.1", local=None).check_start([], 10, oidc=False)


@pytest.mark.parametrize(
    "url", ["segments.acme.com", "ftp://a.com", "https://", "https://a.com/console", "https://u@a.com"]
)
def test_a_wrong_address_of_the_console_is_refused(url: str) -> None:
    with pytest.raises(WrongAddress):
        Policy(url=url)


def test_lifetimes_have_an_end(make: Make) -> None:
    assert make().entrance.policy.lifetimes == Lifetimes(idle=HOURS * 60_000, whole=8 * HOURS * 60_000)
