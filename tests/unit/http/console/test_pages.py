"""What pages show, over a prefix in memory."""

from __future__ import annotations

import csv
import io
import json
import re

import httpx
import pytest

from resegment.http.console import table
from resegment.http.console.pages import timeline
from resegment.outcomes.dataset import Dataset
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.touch import Touch
from resegment.schemas.routing import RoutedState
from resegment.schemas.times import format_instant
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.live.decoding import Command, decode_command
from resegment.streams.prefix import IDENTITIES
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import NOW


async def read(http: httpx.AsyncClient, path: str) -> str:
    response = await http.get(path)
    assert response.status_code == 200, response.text
    return response.text


@pytest.mark.parametrize(
    "path",
    ["/", "/segments", "/segments/hiring-now", "/accounts", "/accounts/acme.com", "/changes", "/versions"],
)
async def test_every_page_has_a_title_and_a_json_twin(http: httpx.AsyncClient, path: str) -> None:
    page = await read(http, path)
    assert "<h1>" in page
    assert "times in <strong>UTC</strong>" in page
    twin = (await http.get(path, params={"format": "json"})).json()
    assert twin["tables"]


async def test_the_first_page_says_how_fresh_decisions_are_and_how_old_they_may_be(
    http: httpx.AsyncClient,
) -> None:
    page = await read(http, "/")
    assert "0 s ago" in page
    assert "10 s allowed" in page
    assert "from Mar 24, 2026, 12:00 PM UTC to Mar 31, 2026, 12:00 PM UTC" in page


async def test_the_first_page_says_what_changed_most(http: httpx.AsyncClient) -> None:
    page = await read(http, "/?span=all")
    assert '<dt>Gained most</dt><dd><a href="/console/segments/' in page
    assert "<dt>Lost most</dt><dd>no segment shrank</dd>" in page
    assert "<dt>Most moves</dt><dd>not-now → hiring-now (1)" in page
    twin = (await http.get("/?span=all&format=json")).json()
    assert twin["gained"] == {"established": 1, "hiring-now": 1, "not-now": 1}
    assert twin["lost"] == {}
    assert {one["segment"]: one["net"] for one in twin["tables"]["segments"]["rows"]} == twin["gained"]


@pytest.mark.parametrize("path", ["/", "/health"])
async def test_the_count_of_dead_letters_leads_to_them(http: httpx.AsyncClient, path: str) -> None:
    assert '<a href="/console/dead-letters">see the page</a>' in await read(http, path)


async def test_a_segment_is_shown_as_written_and_in_words(http: httpx.AsyncClient) -> None:
    page = await read(http, "/segments/hiring-now?span=all&measure=1")
    assert "at least one hiring event whose change is opened, in the last 90 days" in page
    assert "- name: hiring-now\n  hypothesis: A company that hires has a budget.\n  when:  # both" in page
    assert "route: {workflow: hiring}</pre>" in page
    assert "an account stays at least 7 days" in page
    assert "It takes long." in page
    twin = (await http.get("/segments/hiring-now?span=all&measure=1&format=json")).json()
    assert (twin["accounts"], twin["entered"], twin["left"]) == (1, 1, 0)
    assert [one["account"] for one in twin["tables"]["members"]["rows"]] == ["acme.com"]
    tests = {one["test"]: one["unknown"] for one in twin["tables"]["tests"]["rows"]}
    assert tests["status = active"] == 0


async def test_an_unknown_segment_is_named_with_one_that_is_there(http: httpx.AsyncClient) -> None:
    response = await http.get("/segments/hiring-nov")
    assert response.status_code == 404
    assert "hiring-now" in response.text


@pytest.mark.parametrize("text", ["acme.com", "https://www.acme.com/jobs", "ann@acme.com", "ACME.com"])
async def test_what_means_one_account_leads_there(http: httpx.AsyncClient, text: str) -> None:
    response = await http.get("/accounts", params={"q": text})
    assert (response.status_code, response.headers["location"]) == (303, "/console/accounts/acme.com")


@pytest.mark.parametrize("path", ["/accounts/", "/segments/"])
async def test_an_address_that_names_none_leads_to_all(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert (response.status_code, response.headers["location"]) == (303, f"/console{path[:-1]}")


async def test_part_of_a_name_finds_accounts(http: httpx.AsyncClient) -> None:
    page = await read(http, "/accounts?q=glob")
    assert "Globex" in page
    assert "Acme" not in page


async def test_an_account_says_why_it_is_there_what_is_missing_and_what_comes_next(
    http: httpx.AsyncClient,
) -> None:
    page = await read(http, "/accounts/acme.com")
    assert "Acme Corp" in page
    assert "hiring (change = opened) within 90d" in page
    assert "acme.com-2" in page, "the evidence"
    assert "Leaves hiring-now on Jun 18, 2026, 9:30 AM UTC for not-now" in page
    other = await read(http, "/accounts/globex.com")
    assert "needs hiring (change = opened) within 90d (found none)" in other


async def test_an_account_is_shown_as_it_was_at_the_time_of_the_address(http: httpx.AsyncClient) -> None:
    page = await read(http, "/accounts/acme.com?at=2026-03-10T00:00:00")
    assert "in not-now since Mar 1, 2026" in page
    assert "Account Executive" not in page
    assert (await http.get("/accounts/acme.com?at=2026-02-10")).status_code == 404
    assert (await http.get("/accounts/acme.com?at=yesterday")).status_code == 400


async def test_the_timeline_has_facts_changes_and_commands(http: httpx.AsyncClient) -> None:
    twin = (await http.get("/accounts/acme.com?format=json")).json()
    rows = twin["tables"]["timeline"]["rows"]
    assert {one["what"] for one in rows} == {"firmographic", "hiring", "change", "command"}
    only = (await http.get("/accounts/acme.com?what=change&format=json&table=timeline")).json()
    assert {one["what"] for one in only["rows"]} == {"change"}


async def test_changes_are_filtered_by_the_address_and_csv_has_what_is_shown(http: httpx.AsyncClient) -> None:
    response = await http.get("/changes?segment=hiring-now&format=csv&table=changes")
    rows = list(csv.reader(io.StringIO(response.text)))
    assert rows[0] == ["When", "Account", "Name", "From", "To", "Why"]
    assert [row[1:5] for row in rows[1:]] == [["acme.com", "Acme Corp", "not-now", "hiring-now"]]
    assert rows[1][0] == "2026-03-20T09:30:00Z"


async def test_a_page_without_that_table_says_so(http: httpx.AsyncClient) -> None:
    response = await http.get("/changes?format=csv&table=segments")
    assert response.status_code == 404
    assert "It has changes." in response.json()["remedy"]


async def test_a_server_that_does_not_answer_is_503_with_the_reason(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    prefix.failure = StoreUnavailable("Redis does not answer", remedy="Is it running?")
    response = await http.get("/")
    assert response.status_code == 503
    assert "Redis does not answer" in response.text
    assert "Is it running?" in response.text


async def test_an_unknown_page_is_404_with_the_navigation(http: httpx.AsyncClient) -> None:
    response = await http.get("/nowhere")
    assert response.status_code == 404
    assert 'href="/console/segments"' in response.text


@pytest.mark.parametrize("path", ["/", "/segments", "/segments/established"])
async def test_a_span_that_there_is_not_is_said(http: httpx.AsyncClient, path: str) -> None:
    assert "The address has span=9y, which is left out: it can be 24h, " in await read(
        http, f"{path}?span=9y"
    )
    assert "which is left out" not in await read(http, f"{path}?span=24h")


async def test_static_files_are_kept_by_browsers_under_addresses_with_their_hash(
    http: httpx.AsyncClient,
) -> None:
    page = await read(http, "/")
    found = re.search(r'href="/console(/static/console.css\?v=[0-9a-f]{12})"', page)
    assert found is not None
    assert "immutable" in (await http.get(found[1])).headers["cache-control"]


async def test_versions_have_a_history_their_files_and_what_differs(http: httpx.AsyncClient) -> None:
    page = await read(http, "/versions")
    assert "in force" in page
    assert "never in force" in page
    page = await read(http, "/versions/1")
    assert "# those that need it anyway" in page
    twin = (await http.get("/versions/diff?a=1&b=2&format=json")).json()
    assert [(one["name"], one["what"]) for one in twin["differences"]] == [
        ("established", ["condition-changed"])
    ]
    page = await read(http, "/versions/diff?a=1&b=2")
    assert "Segments differ: a switch judges every account once." in page
    assert (await http.get("/versions/7")).status_code == 404
    assert (await http.get("/versions/diff?a=1&b=7")).status_code == 404


async def test_outcomes_are_measured_and_stand_in_the_timeline_with_the_touch_that_they_are_credited_to(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    page = await read(http, "/outcomes")
    assert "No touch yet" in page
    day = 86_400_000
    touch = Touch(
        touch="t1",
        account="acme.com",
        at=NOW - 20 * day,
        segment="hiring-now",
        play="grow",
        owner="ann",
        team=None,
        workflow="hiring",
        channel="email",
        definition_version="v",
        version=1,
        arm="enrolled",
        experiment=None,
        variant=None,
        change="c1",
    )
    reply = OutcomeFact(
        account="acme.com",
        source="/crm",
        record="r1",
        id="r1",
        recorded=NOW - 18 * day,
        at=NOW - 18 * day,
        action="replied",
        person="ann@acme.com",
    )
    prefix.dataset = Dataset.of([touch, reply])
    page = await read(http, "/outcomes?by=play")
    assert "grow" in page
    rows = (await http.get("/outcomes?by=play&format=json&table=rates")).json()["rows"]
    assert next(one for one in rows if one["group"] == "grow" and one["metric"] == "reply")["k"] == 1
    events = (await http.get("/accounts/acme.com?format=json&table=timeline")).json()["rows"]
    told = {one["what"]: one["text"] for one in events}
    assert told["touch"] == "enrolled from hiring-now, hiring, version 1"
    assert told["outcome"] == "replied (ann@acme.com); credited to touch 1 by last-touch"


async def test_an_alias_is_found_by_a_part_of_it_and_stands_on_the_page_of_its_account(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    prefix.held[IDENTITIES] = '[{"hubspot:77": "acme.com"}, {"acme-old.io": "acme.com"}]'
    found = (await http.get("/accounts?q=me-ol&format=json&table=aliases")).json()["rows"]
    assert found == [{"alias": "acme-old.io", "account": "acme.com"}]
    assert "Also acme-old.io, hubspot:77" in await read(http, "/accounts/acme.com")
    assert (await http.get("/accounts?q=acme-old.io")).headers["location"] == "/console/accounts/acme.com"


async def test_a_timeline_that_is_cut_says_so_and_is_cut_at_the_time_that_is_shown(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (await http.get("/accounts/acme.com")).text
    assert "only the newest" not in whole
    monkeypatch.setattr(timeline, "MOST", 1)
    cut = (await http.get("/accounts/acme.com")).text
    assert "only the newest 1 changes and the newest 1 commands" in cut
    first = "/accounts/acme.com?at=2026-03-20T09:29:59Z&format=json&table=timeline"
    at_first = {row["what"] for row in (await http.get(first)).json()["rows"]}
    monkeypatch.undo()
    assert at_first == {row["what"] for row in (await http.get(first)).json()["rows"]}


async def test_a_filter_keeps_the_time_that_is_shown(http: httpx.AsyncClient) -> None:
    page = (await http.get("/segments/established?span=30d")).text
    assert '<input type="hidden" name="span" value="30d">' in page
    page = (await http.get("/accounts/acme.com?what=hiring")).text
    assert '<input type="hidden" name="what" value="hiring">' in page


async def test_a_file_of_every_row_says_how_many_it_has(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/changes?changes.size=1"
    assert ">CSV of all 4</a>" in (await http.get(path)).text
    monkeypatch.setattr(table, "MOST_ROWS", 3)
    assert ">CSV of the first 3</a>" in (await http.get(path)).text
    file = await http.get(f"{path}&format=csv&table=changes&rows=all")
    assert (len(file.text.splitlines()), file.headers["x-total-rows"]) == (4, "4")


async def test_a_command_on_the_timeline_says_when_it_was_sent_or_for_which_change(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    at = NOW - 3_600_000
    known, unknown = (
        Command((0, 1), f"c-{sent}", "acme.com", at, "enroll", "calls", "hot", None, "it hires", sent)
        for sent in (NOW, None)
    )
    await prefix.index.add_commands([known, unknown])
    rows = (await http.get("/accounts/acme.com?what=command&format=json&table=timeline")).json()["rows"]
    told = {one["text"]: (one["at"], one["known"]) for one in rows if "calls" in one["text"]}
    assert told == {
        "enroll calls (hot): it hires": ("2026-03-31T12:00:00Z", "2026-03-31T11:00:00Z"),
        "enroll calls (hot), for the change of this time: it hires": ("2026-03-31T11:00:00Z", None),
    }


async def test_a_past_time_leaves_out_commands_that_were_issued_later(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    changed, hour = NOW - 10 * 3_600_000, 3_600_000
    issued = [("enroll", NOW - 8 * hour), ("reassign", NOW - 4 * hour), ("stop", NOW - 6 * hour)]
    commands = [
        Command((0, number), f"c-{number}", "globex.com", changed, action, "calls", "hot", "Ann", "", sent)
        for number, (action, sent) in enumerate(issued)
    ]
    await prefix.index.add_commands(commands)
    prefix.routed["globex.com"] = RoutedState()

    async def told(hours: int) -> tuple[list[str], str | None]:
        at = format_instant(NOW - hours * hour)
        page = (await http.get("/accounts/globex.com", params={"at": at, "format": "json"})).json()
        rows = page["tables"]["timeline"]["rows"]
        commands = [one["text"].split()[0] for one in rows if "calls" in one["text"]]
        return commands, page["routing_then"]["workflow"]

    assert await told(9) == ([], "established")
    assert await told(7) == (["enroll"], "calls")
    assert await told(5) == (["stop", "enroll"], None)
    assert (await told(1))[0] == ["reassign", "stop", "enroll"]


async def test_commands_of_a_replay_have_the_time_of_their_change(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    """It sends them on another day than that of its facts."""
    sent = NOW + 400 * 86_400_000
    await prefix.index.add_commands(
        [Command((0, 1), "c", "acme.com", NOW - 60_000, "enroll", "calls", "hot", None, "", sent)]
    )
    rows = (await http.get("/accounts/acme.com?what=command&format=json&table=timeline")).json()["rows"]
    assert [(one["text"], one["at"]) for one in rows if "calls" in one["text"]] == [
        ("enroll calls (hot), for the change of this time", "2026-03-31T11:59:00Z")
    ]


def test_a_command_is_sent_at_the_time_of_its_record() -> None:
    data = {"account": "a.com", "action": "enroll", "workflow": "w", "segment": "hot"}
    value = json.dumps({"id": "1", "time": "2026-01-01T00:00:00Z", "data": data}).encode()
    found = [decode_command((0, 1), value, sent) for sent in (NOW, -1, None)]
    assert [one and one.sent for one in found] == [NOW, None, None]


@pytest.mark.parametrize("path", ["/", "/accounts/acme.com", "/segments/hiring-now", "/changes", "/accounts"])
async def test_no_two_elements_of_a_page_have_one_id(http: httpx.AsyncClient, path: str) -> None:
    ids = re.findall(r' id="([^"]+)"', await read(http, path))
    assert sorted(ids) == sorted(set(ids))


async def test_a_problem_of_the_index_is_told_in_its_own_words(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    prefix.progress.problem = "topic Try.Segment-Changes cannot be read: no leader"
    page = await read(http, "/")
    assert "The index waits: topic Try.Segment-Changes cannot be read: no leader." in page
