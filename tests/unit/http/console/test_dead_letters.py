"""The page of dead letters: filter, look, edit, send again; and what hostile producers try with it."""

from __future__ import annotations

import csv
import html
import io
import re
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from resegment.console.sanitizing import sanitize
from resegment.http.console.pages.operations.refusals import LetterFilter
from resegment.http.console.table import Table
from tests.unit.http.console.operating import (
    HOSTILE,
    NOON,
    Operated,
    check_harmless,
    ids_in,
    letter,
    make_operated,
)


@pytest.fixture
def operated() -> Operated:
    made = make_operated()
    made.letters.add(
        letter(1, b'{"a": 1}'),
        letter(2, reason="not-a-company", message="gmail.com is no company"),
        letter(3, topic="sources/hubspot", reason="no-source"),
        letter(4, retried="2026-11-26T01:00:00Z"),
        letter(5, b"x" * 10, truncated="2000000"),
        letter(6, reason="undeliverable", topic="demo.workflow-commands", endpoint="crm"),
    )
    return made


async def test_letters_are_filtered_and_those_sent_again_are_left_out(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        page = (await browser.get("/dead-letters")).text
        assert len(ids_in(page)) == 5
        for query, found in (
            ("reason=not-a-company", ["demo.triggers.funding:0:2"]),
            ("topic=sources/hubspot", ["sources/hubspot:0:3"]),
            ("endpoint=crm", ["demo.workflow-commands:0:6:crm"]),
            ("text=GMAIL.com", ["demo.triggers.funding:0:2"]),
            ("text=nothing-like-it", []),
        ):
            assert ids_in((await browser.get(f"/dead-letters?{query}")).text) == found
        assert len(ids_in((await browser.get("/dead-letters?sent-again=too")).text)) == 6
        rows = (await browser.get("/dead-letters?format=json&reason=not-a-company")).json()["tables"][
            "letters"
        ]["rows"]
        assert [row["id"] for row in rows] == ["demo.triggers.funding:0:2"]


async def test_letters_are_filtered_by_source_and_by_when_they_were_refused(operated: Operated) -> None:
    operated.letters.add(letter(7, source="/hubspot"), letter(8, b"[", source="", topic="sources/x"))
    at = "2026-09-21T14:13:20.00"  # when the first was refused, and each next a millisecond later
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        for query, found in (
            ("source=/hubspot", [7]),
            ("source=sources/x", [8]),
            ("source=/hub", []),
            (f"since={at}7Z", [7, 8]),
            (f"until={at}3Z", [1, 2]),
            (f"since={at}2Z&until={at}3Z&reason=not-a-company", [2]),
            ("since=2026-09-21T16:13:20.006&tz=Europe/Berlin&source=/crm", [6]),
        ):
            shown = ids_in((await browser.get(f"/dead-letters?{query}")).text)
            assert sorted(int(one.split(":")[2]) for one in shown) == found, query
        rows = (await browser.get("/dead-letters?format=csv&table=letters&source=/hubspot")).text
        assert len(rows.splitlines()) == 2
        assert (await browser.get("/dead-letters?since=yesterday")).status_code == 400


async def test_all_that_a_filter_shows_are_sent_again_and_the_filter_stays(operated: Operated) -> None:
    operated.letters.add(letter(7, source="/hubspot"), letter(8, source="/hubspot", reason="no-account"))
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        page = await browser.get("/dead-letters?source=/hubspot&reason=not-json&since=2026-01-01T00:00:00")
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        sent = await browser.post("/dead-letters/retry", data={**fields, "csrf": csrf, "every": "yes"})
    assert [ids for _, ids, _ in operated.letters.sent] == [["demo.triggers.funding:0:7"]]
    assert "source=%2Fhubspot" in sent.headers["location"]
    assert "since=2026-01-01T00%3A00%3A00" in sent.headers["location"]


async def test_a_long_file_is_written_beside_other_requests(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated.letters.add(*(letter(number) for number in range(10, 710)))
    threads: list[threading.Thread] = []
    for name in ("csv", "records"):
        write = getattr(Table, name)

        def written(table: Any, write: Any = write) -> Any:
            threads.append(threading.current_thread())
            return write(table)

        monkeypatch.setattr(Table, name, written)
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        file = await browser.get("/dead-letters?format=csv&table=letters&rows=all")
        twin = await browser.get("/dead-letters?format=json&table=letters&rows=all")
        page = await browser.get("/dead-letters?format=csv&table=letters")
    assert len(file.text.splitlines()) == 706
    assert int(file.headers["content-length"]) == len(file.content)
    assert len(twin.json()["rows"]) == 705
    assert [one is threading.main_thread() for one in threads] == [False, False, True]
    assert len(page.text.splitlines()) == 26


async def test_letters_are_searched_beside_other_requests(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    choose = LetterFilter.choose

    def chosen(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return choose(*given)

    monkeypatch.setattr(LetterFilter, "choose", chosen)
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        await browser.get("/dead-letters?text=gmail")
        await browser.post("/dead-letters/retry", data={"csrf": csrf, "every": "yes", "text": "gmail"})
    assert [ids for _, ids, _ in operated.letters.sent] == [["demo.triggers.funding:0:2"]]
    assert [one is threading.main_thread() for one in threads] == [False, False]


async def test_refusals_are_counted_by_reason_and_source(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        told = (await browser.get("/dead-letters?format=json")).json()
        page = (await browser.get("/dead-letters")).text
    rows = told["tables"]["refusals"]["rows"]
    assert next((row["reason"], row["source"], row["letters"]) for row in rows) == ("not-json", "/crm", 2)
    assert told["sources"] == {"/crm": 5}
    assert "/console/dead-letters?reason=not-json&amp;source=%2Fcrm" in page


async def test_a_choice_of_the_filter_counts_the_letters_that_it_shows(operated: Operated) -> None:
    operated.letters.add(letter(7, retried="2026-09-22T00:00:00Z"), letter(8, source="/hubspot"))
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        for query in ("", "&sent-again=too", "&source=/hubspot", "&text=gmail"):
            told = (await browser.get(f"/dead-letters?format=json{query}")).json()
            assert told["reasons"]
            for reason, number in told["reasons"].items():
                shown = await browser.get(f"/dead-letters?format=json{query}&reason={reason}")
                assert len(shown.json()["tables"]["letters"]["rows"]) == number, (query, reason)


async def test_an_operator_sends_chosen_letters_again_in_their_own_name(operated: Operated) -> None:
    ids = ["demo.triggers.funding:0:1", "demo.triggers.funding:0:2"]
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        answered = await browser.post(
            "/dead-letters/retry", data={"csrf": csrf, "id": ids, "reason": "not-json"}
        )
        assert answered.status_code == 303
        location = answered.headers["location"].removeprefix("/console")
        assert re.fullmatch(
            r"/dead-letters\?reason=not-json&asked=[0-9TZ%A.-]+&sent=2&refused=0&left_out=0", location
        )
        page = html.unescape((await browser.get(location)).text)
        assert "2 records sent again" in page
        again = re.search(r'href="/console(/dead-letters\?[^"]*)">those refused since then', page)
        assert again is not None
        held = operated.letters.held
        operated.letters.held = {name: replace(one, refused_at=NOON - 10**11) for name, one in held.items()}
        assert ids_in((await browser.get(again[1])).text) == [], "nothing was refused after that"
        operated.letters.add(replace(letter(99), refused_at=time.time_ns() // 1_000_000 + 1_000))
        assert len(ids_in((await browser.get(again[1])).text)) == 1
    assert operated.letters.sent == [("ann", ids, {})]


async def test_an_operator_sends_all_that_match_again_but_none_twice_and_none_that_was_cut(
    operated: Operated,
) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        await browser.post("/dead-letters/retry", data={"csrf": csrf, "every": "yes", "sent-again": "too"})
        await browser.post("/dead-letters/retry", data={"csrf": csrf, "every": "yes", "endpoint": "crm"})
    (_, first, _), (_, second, _) = operated.letters.sent
    assert len(first) == 4
    assert not any(one.endswith((":4", ":5")) for one in first)
    assert second == ["demo.workflow-commands:0:6:crm"]


async def test_an_operator_edits_a_letter(operated: Operated) -> None:
    one = "demo.triggers.funding:0:1"
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        page = (await browser.get("/dead-letters/show", params={"id": one})).text
        assert '{"a": 1}</textarea>' in html.unescape(page)
        sent = await browser.post(
            "/dead-letters/edit", data={"csrf": csrf, "id": one, "value": '{\r\n"a": 2}'}
        )
        assert sent.status_code == 303
        for value, why in (('{"a": 1}', "same as before"), ("{", "not JSON"), (" ", "no value")):
            refused = await browser.post("/dead-letters/edit", data={"csrf": csrf, "id": one, "value": value})
            assert (refused.status_code, why in refused.text) == (400, True)
    assert operated.letters.sent == [("ann", [one], {one: b'{\n"a": 2}'})]


async def test_bytes_that_a_form_would_change_are_not_offered_for_editing(operated: Operated) -> None:
    operated.letters.add(
        letter(7, b"\xff\xfe"), letter(8, b'{"a":\r\n1}'), letter(9, None), letter(10, b'{"a\x00": 1}')
    )
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        for number in (7, 8, 9, 10):
            shown = await browser.get(
                "/dead-letters/show", params={"id": f"demo.triggers.funding:0:{number}"}
            )
            assert (shown.status_code, "<textarea" in shown.text) == (200, False)
            raw = await browser.get("/dead-letters/raw", params={"id": f"demo.triggers.funding:0:{number}"})
            assert raw.content == (operated.letters.held[f"demo.triggers.funding:0:{number}"].original or b"")
            assert raw.headers["content-type"] == "application/octet-stream"
            assert raw.headers["content-disposition"].startswith("attachment")


async def test_a_viewer_sees_letters_and_no_form_and_sends_nothing(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/dead-letters")).text
        assert "not-a-company" in page
        assert "Send the chosen" not in page
        for path in ("retry", "edit"):
            data = {"csrf": csrf, "id": "demo.triggers.funding:0:1", "value": "{}"}
            assert (await browser.post(f"/dead-letters/{path}", data=data)).status_code == 403
    assert operated.letters.sent == []


async def test_an_operator_of_something_else_sends_nothing(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser, areas=("owners",))
        data = {"csrf": csrf, "id": "demo.triggers.funding:0:1"}
        refused = await browser.post("/dead-letters/retry", data=data)
        assert refused.status_code == 403
        assert "ann may not change dead-letters" in refused.text
    assert operated.letters.sent == []


async def test_a_program_sends_letters_again_and_gets_json(operated: Operated) -> None:
    token = await operated.world.token()
    async with operated.browser() as program:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        data = {"id": "demo.triggers.funding:0:1"}
        sent = await program.post("/dead-letters/retry", data=data, headers=headers)
        none = await program.post("/dead-letters/retry", data={}, headers=headers)
    assert sent.json() == {"sent": 1, "refused": 0, "left_out": 0}
    assert none.status_code == 400


async def test_a_letter_that_is_not_there_is_named(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        for path in ("show", "raw"):
            assert (await browser.get(f"/dead-letters/{path}?id=x:0:1")).status_code == 404


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize(
    "field",
    ["reason", "message", "field", "topic", "endpoint", "key", "offset", "timestamp", "retried", "source"],
)
async def test_what_a_producer_writes_into_a_letter_stays_text(attack: str, field: str) -> None:
    operated = make_operated()
    hostile = letter(1, f'{{"a": "{attack}"}}'.encode(), **{field: attack})
    operated.letters.add(hostile)
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        pages = [
            await browser.get("/dead-letters?sent-again=too"),
            await browser.get("/dead-letters", params={"text": attack, "sent-again": "too", field: attack}),
            await browser.get("/dead-letters/show", params={"id": hostile.id}),
        ]
        for page in pages:
            assert page.status_code == 200
            check_harmless(page.text)
        shown = html.unescape("".join(page.text for page in pages))
        assert sanitize(attack) in shown or field == "retried"
        table = await browser.get("/dead-letters?sent-again=too&format=csv")
        check_cells(table.text)


@pytest.mark.parametrize("attack", HOSTILE)
async def test_hostile_bytes_and_headers_stay_text(attack: str) -> None:
    operated = make_operated()
    one = letter(1, attack.encode())
    one.record.headers.append((attack, attack.encode()))  # type: ignore[attr-defined]
    operated.letters.add(one)
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        check_harmless((await browser.get("/dead-letters/show", params={"id": one.id})).text)


def check_cells(text: str) -> None:
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)


@pytest.mark.parametrize("mark", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon"])
async def test_a_mark_that_is_no_time_of_ours_breaks_no_page(operated: Operated, mark: str) -> None:
    operated.letters.add(letter(9, retried=mark))
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        for path in ("/dead-letters?sent-again=too", "/dead-letters/show?id=demo.triggers.funding:0:9"):
            assert (await browser.get(path)).status_code == 200
            assert (await browser.get(f"{path}&format=json")).status_code == 200


@pytest.mark.parametrize("path", ["/dead-letters/show", "/dead-letters/raw"])
async def test_an_address_without_an_id_is_answered_by_a_page(operated: Operated, path: str) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        answered = await browser.get(path)
    assert answered.status_code == 404
    assert "text/html" in answered.headers["content-type"]


async def test_hostile_numbers_in_the_address_are_ignored(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        given: Any = {"sent": "<b>1</b>", "refused": "9" * 40, "left_out": "-1"}
        page = await browser.get("/dead-letters", params=given)
        assert page.status_code == 200
        assert "sent again</p>" not in page.text
        assert "<b>1" not in page.text
