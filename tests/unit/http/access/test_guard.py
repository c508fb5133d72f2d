"""What the guard lets through, and what every answer carries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resegment.http.access.guard import MAX_BODY, Guard
from resegment.http.access.headers import POLICY
from resegment.http.access.streams import ending_with_session
from resegment.http.access.tokens import revoke_token
from resegment.state.partition_store import StoreUnavailable
from tests.unit.http.access.world import PAGE, Make, World, read_csrf

CLOSED = (
    "/page",
    "/",
    "/feed",
    "/nothing",
    "/openapi.json",
    "/static",
    "/login/x",
    "/metrics",
    "//login",
    "/static/../page",
)


@pytest.mark.parametrize("path", CLOSED)
async def test_a_stranger_reads_nothing(world: World, path: str) -> None:
    async with world.browser() as browser:
        answered = await browser.get(path, headers={"accept": "application/json"})
    assert answered.status_code == 401
    assert "rst_" in answered.text
    assert answered.headers["www-authenticate"].startswith("Bearer")


async def test_a_page_leads_a_stranger_to_the_login_and_back(world: World) -> None:
    token = await world.token()
    async with world.browser() as browser:
        sent = await browser.get("/page?segment=hot%20ones&x=1")
        assert sent.status_code == 303
        assert sent.headers["location"] == "/login?next=%2Fpage%3Fsegment%3Dhot%2520ones%26x%3D1"
        entered = await world.sign_in(browser, token, next="/page?segment=hot%20ones&x=1")
        assert entered.headers["location"] == "/page?segment=hot%20ones&x=1"
        assert (await browser.get("/page")).text.startswith("ann operator")


async def test_a_feed_is_refused_without_login_and_not_redirected(world: World) -> None:
    async with world.browser() as browser:
        answered = await browser.get("/feed", headers={"accept": "text/event-stream"})
    assert answered.status_code == 401


async def test_a_part_of_a_page_leads_the_whole_page_to_the_login(world: World) -> None:
    async with world.browser() as browser:
        answered = await browser.get("/page", headers={"hx-request": "true"})
    assert (answered.status_code, answered.headers["hx-redirect"]) == (401, "/login")


async def test_a_program_reads_and_acts_with_its_token_and_without_a_form(world: World) -> None:
    token = await world.token()
    async with world.browser() as program:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        assert (await program.get("/page", headers=headers)).status_code == 200
        assert (await program.post("/act", headers=headers, data={"what": "x"})).status_code == 200
    assert world.done == ["ann: x"]


@pytest.mark.parametrize(
    "given", ["Bearer rst_wrong", "Bearer", "Basic YTpi", "Bearer " + "x" * 5000, "rst_x", "Bearer é"]
)
async def test_a_wrong_token_is_refused(world: World, given: str) -> None:
    await world.token()
    async with world.browser() as program:
        headers = {"authorization": given.encode("latin-1"), "accept": "application/json"}
        assert (await program.get("/page", headers=headers)).status_code == 401  # type: ignore[arg-type]


async def test_a_wrong_token_is_no_way_back_to_the_session_of_the_browser(world: World) -> None:
    token = await world.token()
    async with world.browser() as browser:
        await world.sign_in(browser, token)
        assert (await browser.get("/page", headers={"authorization": "Bearer x"})).status_code == 303


async def test_a_viewer_may_not_act(world: World) -> None:
    token = await world.token("vic", "viewer")
    async with world.browser() as browser:
        await world.sign_in(browser, token)
        csrf = await read_csrf(browser, "/page")
        refused = await browser.post("/act", data={"csrf": csrf, "what": "x"})
    assert refused.status_code == 403
    assert "operator" in refused.text
    assert world.done == []


async def test_an_operator_acts_by_a_form_of_the_console(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        csrf = await read_csrf(browser, "/page")
        by_field = await browser.post("/act", data={"csrf": csrf, "what": "1"})
        by_header = await browser.post("/act", data={"what": "2"}, headers={"x-csrf-token": csrf})
    assert (by_field.status_code, by_header.status_code) == (200, 200)
    assert world.done == ["ann: 1", "ann: 2"]


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é", "x" * 10_000])
async def test_a_form_with_another_token_changes_nothing(world: World, csrf: str) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        refused = await browser.post("/act", data={"csrf": csrf, "what": "x"})
        missing = await browser.post("/act", data={"what": "x"})
    assert (refused.status_code, missing.status_code) == (403, 403)
    assert world.done == []


async def test_the_form_token_of_one_session_is_worth_nothing_in_another(world: World) -> None:
    ann, eve = await world.token("ann"), await world.token("eve")
    async with world.browser() as one, world.browser() as other:
        await world.sign_in(one, ann)
        await world.sign_in(other, eve)
        stolen = await read_csrf(other, "/page")
        assert (await one.post("/act", data={"csrf": stolen, "what": "x"})).status_code == 403
    assert world.done == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(world: World, headers: dict[str, str]) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        csrf = await read_csrf(browser, "/page")
        refused = await browser.post("/act", data={"csrf": csrf, "what": "x"}, headers=headers)
        fine = await browser.post(
            "/act",
            data={"csrf": csrf, "what": "y"},
            headers={"origin": "http://localhost:8300", "sec-fetch-site": "same-origin"},
        )
    assert (refused.status_code, fine.status_code) == (403, 200)
    assert world.done == ["ann: y"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_nothing_is_changed_by_other_methods(world: World, method: str) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        assert (await browser.request(method, "/act")).status_code == 405


@pytest.mark.parametrize(
    "trick", [{"x-http-method-override": "POST"}, {"x-method-override": "POST"}, {"_method": "POST"}]
)
async def test_a_read_does_not_become_a_change(world: World, trick: dict[str, str]) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        answered = await browser.get("/act", headers=trick, params={"_method": "POST", "what": "x"})
    assert answered.status_code == 405
    assert world.done == []


async def test_a_huge_form_is_refused_before_it_is_read(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        csrf = await read_csrf(browser, "/page")
        large = await browser.post("/act", data={"csrf": csrf, "what": "x" * MAX_BODY})
        many = await browser.post("/act", data={f"f{n}": "" for n in range(2_000)})

        async def endless() -> Any:
            while True:
                yield b"x" * 100_000

        streamed = await browser.post("/act", content=endless(), headers={"x-csrf-token": csrf})
    assert (large.status_code, many.status_code, streamed.status_code) == (413, 413, 413)
    assert world.done == []


async def test_a_form_in_another_format_is_refused(world: World) -> None:
    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        csrf = await read_csrf(browser, "/page")
        assert (await browser.post("/act", json={"csrf": csrf})).status_code == 415
        assert (await browser.post("/act", files={"csrf": csrf.encode()})).status_code == 415


ANSWERS = {
    "/page": 200,
    "/login": 200,
    "/nothing": 404,
    "/breaks": 500,
    "/static/login.html": 200,
    "/static/nothing": 404,
    "/act": 405,
    "/static/../../../../../../etc/passwd": 404,
    "/static/%2e%2e/%2e%2e/guard.py": 404,
    "/static/..%2f..%2fguard.py": 404,
    "/static//etc/passwd": 404,
}


@pytest.mark.parametrize("path", ANSWERS)
async def test_every_answer_carries_the_headers_that_a_scanner_asks_for(world: World, path: str) -> None:
    async with world.browser(raise_app_exceptions=False) as browser:
        await world.sign_in(browser, await world.token())
        answered = await browser.get(path)
        refused = await world.browser().get(path)
    assert answered.status_code == ANSWERS[path]
    for one in (answered, refused):
        held = one.headers
        assert held["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        assert held["x-content-type-options"] == "nosniff"
        assert held["x-frame-options"] == "DENY"
        assert held["referrer-policy"] == "same-origin"
        assert held["cross-origin-opener-policy"] == held["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in held["permissions-policy"]
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(held)
        assert path.startswith("/static/") or held["cache-control"] == "no-store"
    assert "a secret of the code" not in answered.text
    assert "root:" not in answered.text
    assert "Guard" not in answered.text


async def test_only_an_address_with_https_asks_for_https_and_gives_a_cookie_for_it(make: Make) -> None:
    plain, secure = make(), make(url="https://segments.acme.com")
    async with plain.browser() as browser:
        answered = await browser.get("/login")
        assert "strict-transport-security" not in answered.headers
        assert answered.headers["set-cookie"].startswith("resegment-demo=")
        assert "Secure" not in answered.headers["set-cookie"]
    async with secure.browser("https://segments.acme.com") as browser:
        answered = await browser.get("/login")
        assert answered.headers["strict-transport-security"] == "max-age=31536000"
        cookie = answered.headers["set-cookie"]
        assert cookie.startswith("__Host-resegment-demo=")
        assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    ("address", "host", "headers"),
    [
        ("127.0.0.1", "localhost:8300", {"x-forwarded-for": "10.0.0.9"}),
        ("127.0.0.1", "localhost:8300", {"forwarded": "for=10.0.0.9"}),
        ("127.0.0.1", "localhost:8300", {"via": "1.1 proxy"}),
        ("127.0.0.1", "segments.acme.com", {}),
        ("127.0.0.1", "localhost.evil.example", {}),
        ("10.0.0.9", "localhost:8300", {}),
    ],
)
async def test_loopback_needs_no_login_but_a_proxy_in_front_of_it_does(
    make: Make, address: str, host: str, headers: dict[str, str]
) -> None:
    world = make(address="127.0.0.1", local_name="ann@laptop")
    async with world.browser() as here:
        assert (await here.get("/page")).text.startswith("ann@laptop viewer")
    async with world.browser(f"http://{host}", address=address) as there:
        assert (await there.get("/page", headers=headers)).status_code == 303


async def test_someone_on_this_machine_reads_only_unless_the_settings_say_more(make: Make) -> None:
    for role, status in (("viewer", 403), ("operator", 200)):
        world = make(address="127.0.0.1", local=role)
        async with world.browser() as here:
            csrf = await read_csrf(here, "/page")
            assert (await here.post("/act", data={"csrf": csrf, "what": "x"})).status_code == status
            assert (await here.post("/act", data={"what": "x"})).status_code == 403
    world = make(address="127.0.0.1", local=None)
    async with world.browser() as here:
        assert (await here.get("/page")).status_code == 303


async def test_without_redis_nobody_gets_in(world: World) -> None:
    async def away(digest: str) -> None:
        raise StoreUnavailable("Redis: cannot find a session: secret-host:6379")

    async with world.browser() as browser:
        await world.sign_in(browser, await world.token())
        world.store.find_session = away  # type: ignore[method-assign,assignment]
        answered = await browser.get("/page")
    assert answered.status_code == 503
    assert "secret-host" not in answered.text
    assert answered.headers["content-security-policy"] == POLICY


async def test_a_console_below_a_path_leads_to_its_own_login(make: Make) -> None:
    world = make()
    token = await world.token()
    async with world.browser(root_path="/console") as browser:
        sent = await browser.get("/console/page")
        assert sent.headers["location"] == "/console/login?next=%2Fconsole%2Fpage"
        csrf = await read_csrf(browser, "/console/login")
        entered = await browser.post("/console/login", data={"token": token, "csrf": csrf})
        assert entered.headers["location"] == "/console/"
        assert (await browser.get("/console/page")).text.startswith("ann")


async def test_a_websocket_is_closed(world: World) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await Guard(world.app, world.entrance)(
        {"type": "websocket", "path": "/feed", "headers": []}, receive, send
    )
    assert [one["type"] for one in sent] == ["websocket.close"]


async def test_a_stream_ends_with_the_session_of_who_reads_it() -> None:
    known, sent = True, []
    first = asyncio.Event()

    async def is_known() -> bool:
        return known

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            first.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kind = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    streaming = asyncio.create_task(
        ending_with_session(app, {"type": "http"}, receive, send, is_known, every=0.01)
    )
    await first.wait()
    known = False
    await asyncio.wait_for(streaming, 60)
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_an_open_page_learns_of_a_revoked_token(world: World) -> None:
    token = await world.token()
    async with world.browser() as browser:
        await world.sign_in(browser, token)
        assert (await browser.get("/feed", headers={"accept": "text/event-stream"})).status_code == 200
        await revoke_token(world.store, "ann", world.clock.now())
        assert (await browser.get("/feed", headers=PAGE | {"accept": "text/event-stream"})).status_code == 401
