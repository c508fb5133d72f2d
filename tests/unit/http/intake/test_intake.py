"""What the intake takes, refuses and answers, with a publisher that remembers or fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from resegment.agents.batch import Message, PublishFailed
from resegment.agents.dead_letters import SMALL_BYTES, is_proof, read_dead_letter
from resegment.http.intake.access import Access, WrongKeys, read_access
from resegment.http.intake.app import build
from resegment.http.intake.bodies import MAX_BODY
from resegment.http.intake.keys import Key, RateLimit, hash_key, keep_key, make_key
from resegment.http.intake.quarantine import letter_id
from resegment.http.intake.service import Intake
from resegment.http.intake.signatures import Signed, is_genuine
from resegment.schemas.times import parse_instant
from resegment.sources.adapters.port import Context
from resegment.streams.kafka.topics import Topics

EVENT = {
    "specversion": "1.0", "id": "1", "source": "/test", "type": "gtm.funding.v1", "subject": "acme.com", "time": "2026-01-01T00:00:00Z",
    "data": {"round": "seed"},
}  # fmt: skip
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


class Publisher:
    def __init__(self, error: PublishFailed | None = None) -> None:
        self.error = error
        self.sent: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.error is not None:
            raise self.error
        self.sent += messages


def post(
    path: str,
    content: Any,
    kind: str | None = STRUCTURED,
    *,
    publisher: Publisher | None = None,
    access: Access | None = None,
    **headers: str,
) -> httpx.Response:
    intake = Intake(publisher or Publisher(), Topics("t"), access or Access(), Context())
    return ask(intake, "POST", path, content, kind, **headers)


def ask(
    intake: Intake, method: str, path: str, content: Any = None, kind: str | None = None, **headers: str
) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(build(intake))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            body = content if isinstance(content, bytes | None) else orjson.dumps(content)
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            if kind is not None:
                given["content-type"] = kind
            return await client.request(method, path, content=body, headers=given)

    return asyncio.run(run())


def test_a_structured_event_is_in_kafka_before_the_answer() -> None:
    publisher = Publisher()
    answer = post("/events", EVENT, publisher=publisher)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "refused": []})
    (message,) = publisher.sent
    assert (message.topic, message.key, orjson.loads(message.value or b"")) == (
        "t.triggers.funding",
        b"acme.com",
        EVENT,
    )


@pytest.mark.parametrize(
    ("content", "kind", "accepted"),
    [
        ([EVENT, {**EVENT, "id": "2"}], BATCH, 2),
        ([EVENT], "application/json", 1),
        (EVENT, "application/json; charset=utf-8", 1),
        (b"\n".join([orjson.dumps(EVENT)] * 3), "application/x-ndjson", 3),
    ],
)
def test_batches_and_lines_are_taken(content: Any, kind: str, accepted: int) -> None:
    answer = post("/events", content, kind)
    assert (answer.status_code, answer.json()["accepted"]) == (202, accepted)


def test_an_event_in_binary_mode_has_its_attributes_in_headers() -> None:
    publisher = Publisher()
    attributes = {f"ce_{name}": str(value) for name, value in EVENT.items() if name != "data"}
    answer = post("/events", EVENT["data"], "application/json", publisher=publisher, **attributes)
    assert answer.status_code == 202
    assert orjson.loads(publisher.sent[0].value or b"") == EVENT


def test_each_refused_event_of_a_batch_has_its_place_and_reason() -> None:
    publisher = Publisher()
    answer = post("/events", [EVENT, {**EVENT, "subject": "jo@gmail.com"}, 5], BATCH, publisher=publisher)
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert [one.topic for one in publisher.sent] == ["t.triggers.funding", "t.dead-letters", "t.dead-letters"]
    assert len(answer.json()["kept"]) == 2
    assert [(one["index"], one["reason"]) for one in answer.json()["refused"]] == [
        (1, "not-a-company"),
        (2, "wrong-envelope"),
    ]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", STRUCTURED, 400), (b"", STRUCTURED, 400), (b"[]", BATCH, 400), (b"{}", BATCH, 400), (b"x", BATCH, 400), ({**EVENT, "type": "x"}, STRUCTURED, 400),
        (EVENT, "text/plain", 415), (EVENT, None, 415), (b"x" * (MAX_BODY + 1), STRUCTURED, 413), (b"[" + b"1," * 10_000 + b"1]", BATCH, 413),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_taken_says_why(content: Any, kind: str | None, status: int) -> None:
    answer = post("/events", content, kind)
    assert answer.status_code == status
    assert answer.json().get("error") or answer.json()["refused"]


def test_nothing_is_accepted_while_kafka_is_away_and_it_is_ready_again_by_itself() -> None:
    publisher = Publisher(PublishFailed((), TimeoutError()))
    intake = Intake(publisher, Topics("t"), Access(), Context())
    assert ask(intake, "GET", "/readyz").status_code == 503
    answer = ask(intake, "POST", "/events", EVENT, STRUCTURED)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    publisher.error = None
    assert ask(intake, "POST", "/events", EVENT, STRUCTURED).status_code == 202
    assert ask(intake, "GET", "/readyz").status_code == 200


async def test_it_connects_again_until_kafka_answers() -> None:
    intake = Intake(Publisher(), Topics("t"), Access(), Context())
    answers = iter([PublishFailed((), TimeoutError()), PublishFailed((), TimeoutError()), None])
    connected = asyncio.Event()

    async def connect() -> None:
        error = next(answers)
        if error is not None:
            raise error
        connected.set()

    task = asyncio.create_task(intake.keep_ready(connect, connect, 0))
    await asyncio.wait_for(connected.wait(), 5)
    task.cancel()
    assert intake.reachable


def test_a_key_is_needed_for_its_sources_only_and_at_its_rate() -> None:
    access = Access(
        (
            Key("a", hash_key("one"), frozenset({"events"}), rate=0.5),
            Key("b", hash_key("two"), frozenset({"hubspot"})),
        )
    )
    intake = Intake(Publisher(), Topics("t"), access, Context())

    def status(**headers: str) -> httpx.Response:
        return ask(intake, "POST", "/events", EVENT, STRUCTURED, **headers)

    assert status().status_code == 401
    assert status(authorization="Bearer wrong").status_code == 401
    assert status(authorization="Basic one").status_code == 401
    assert status(authorization="Bearer two").status_code == 403
    assert status(authorization="Bearer one").status_code == 202
    limited = status(authorization="Bearer one")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")


def test_tokens_come_back_with_time() -> None:
    limit, key = RateLimit(), Key("a", "x" * 64, rate=2)
    assert [limit.take(key, 0.0) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limit.take(key, 0.5) == 0


def test_a_webhook_becomes_the_events_of_its_source() -> None:
    publisher = Publisher()
    visit = {
        "LinkedIn URL": "https://linkedin.com/in/x",
        "Website": "acme.com",
        "Seen At": "2026-01-01T00:00:00Z",
        "Captured URL": "https://us.example",
    }
    answer = post("/sources/rb2b", visit, "application/json", publisher=publisher)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert publisher.sent[0].topic == "t.triggers.engagement"


def test_a_webhook_without_a_time_holds_now_and_ids_have_the_domains_that_were_said() -> None:
    publisher = Publisher()
    intake = Intake(publisher, Topics("t"), Access(), Context(accounts={"11": "acme.com"}))
    member = [{"member_id": 11, "status": "started_matching_query", "title": "CRO"}]
    answer = ask(intake, "POST", "/sources/coresignal", member, "application/json")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    event = orjson.loads(publisher.sent[0].value or b"")
    assert abs(parse_instant(event["time"]) / 1000 - time.time()) < 60


def test_a_webhook_that_is_ignored_is_taken_and_a_wrong_one_is_not() -> None:
    assert post("/sources/tamradar", {"update_type": "radar_failure"}, "application/json").status_code == 202
    assert post("/sources/nosuch", {}, "application/json").status_code == 404
    assert post("/sources/rb2b", {}, "text/plain").status_code == 415
    assert post("/sources/rb2b", b"{", "application/json").status_code == 400


def test_a_signed_webhook_needs_its_signature_and_no_key() -> None:
    access = Access((Key("a", hash_key("one")),), {"theirstack": ("s3cret",)})
    body = orjson.dumps(
        {
            "id": "1",
            "type": "job.new",
            "payload": {
                "id": 1,
                "job_title": "AE",
                "date_posted": "2026-01-01",
                "company_domain": "acme.com",
            },
        }
    )
    signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    good = post(
        "/sources/theirstack",
        body,
        "application/json",
        access=access,
        x_theirstack_signature_256=f"sha256={signature}",
    )
    assert good.status_code == 202
    wrong = post(
        "/sources/theirstack",
        body + b" ",
        "application/json",
        access=access,
        x_theirstack_signature_256=f"sha256={signature}",
    )
    assert wrong.status_code == 401
    assert (
        post(
            "/sources/theirstack", body, "application/json", access=access, authorization="Bearer one"
        ).status_code
        == 401
    )


def test_each_scheme_takes_its_own_signature_within_its_window() -> None:
    now = time.time()
    body = b'{"a":1}'

    def signed(**headers: str) -> Signed:
        return Signed(
            "POST",
            "https://x.example/sources/s",
            {name.replace("_", "-"): value for name, value in headers.items()},
            body,
        )

    def digest(text: bytes, key: bytes = b"key") -> str:
        return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()

    stamp = str(int(now * 1000))
    hubspot = digest(b"POSThttps://x.example/sources/s" + body + stamp.encode())
    assert is_genuine(
        "hubspot", signed(x_hubspot_signature_v3=hubspot, x_hubspot_request_timestamp=stamp), "key", now
    )
    assert not is_genuine(
        "hubspot", signed(x_hubspot_signature_v3=hubspot, x_hubspot_request_timestamp=stamp), "key", now + 400
    )
    behind_proxy = signed(x_hubspot_signature_v3=hubspot, x_hubspot_request_timestamp=stamp)
    assert is_genuine("hubspot", behind_proxy._replace(url="http://x.example/sources/s"), "key", now)
    assert not is_genuine("hubspot", behind_proxy._replace(url="http://y.example/sources/s"), "key", now)
    secret = "whsec_" + base64.b64encode(b"key").decode()
    seconds = str(int(now))
    standard = "v1," + digest(f"m1.{seconds}.".encode() + body)
    headers = {"webhook_id": "m1", "webhook_timestamp": seconds, "webhook_signature": f"v1,x {standard}"}
    assert is_genuine("clay", signed(**headers), secret, now)
    assert not is_genuine("clay", signed(**headers), secret, now + 400)
    assert not is_genuine("clay", signed(**{**headers, "webhook_timestamp": "soon"}), secret, now)
    assert is_genuine(
        "segment", signed(x_signature=hmac.new(b"key", body, hashlib.sha1).hexdigest()), "key", now
    )
    assert is_genuine("common-room", signed(x_commonroom_webhook_secret="key"), "key", now)  # noqa: S106
    assert not is_genuine("common-room", signed(), "key", now)


def test_keys_and_secrets_are_read_from_a_file(tmp_path: Path) -> None:
    key, digest = make_key()
    file = tmp_path / "keys.yaml"
    file.write_text(
        f"keys:\n  - {{name: a, sha256: {digest}, sources: [events], rate: 5}}\nsecrets:\n  hubspot: {{env: SECRET}}\n"
    )
    access = read_access(file, {"SECRET": "x"})
    found = access.find(key)
    assert found is not None
    assert (found.name, found.may_send("events"), found.may_send("rb2b"), found.rate) == ("a", True, False, 5)
    assert access.find("other") is None
    assert access.secrets == {"hubspot": ("x",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "not a map"), ("keys: 1\n", "not a list"), ("keys: [{name: a}]\n", "no sha256"), ("keys: [{sha256: a}]\n", "no name"), ("secrets: {hubspot: x}\n", "env: NAME"),
        ("secrets: {hubspot: {env: NOPE}}\n", "is not set"), ("keys: [\n", "keys.yaml"),
        (f"keys: [{{name: a, sha256: {'a' * 64}, source: [events]}}]\n", "unknown field source"), ("secrets: {hubspott: {env: HOME}}\n", "hubspott"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_keys_says_why(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    with pytest.raises(WrongKeys, match=words):
        read_access(file, {"HOME": "x"})


def test_the_openapi_document_names_every_answer() -> None:
    document = ask(Intake(Publisher(), Topics("t"), Access(), Context()), "GET", "/openapi.json").json()
    for path in ("/events", "/sources/{name}"):
        assert {"202", "400", "401", "403", "413", "415", "429", "503"} <= document["paths"][path]["post"][
            "responses"
        ].keys()


def test_a_body_that_is_refused_is_seen_in_the_dead_letters() -> None:
    publisher = Publisher()
    answer = post(
        "/sources/rb2b", {"Website": "gmail.com", "Seen At": "now"}, "application/json", publisher=publisher
    )
    assert (answer.status_code, answer.json()["accepted"]) == (202, 0)
    (letter,) = publisher.sent
    assert (letter.topic, answer.json()["kept"]) == ("t.dead-letters", [letter_id(letter)])
    for path, kind in (("/events", STRUCTURED), ("/sources/rb2b", "application/json")):
        publisher.sent.clear()
        assert post(path, b"{", kind, publisher=publisher).status_code == 400
        assert [(one.topic, one.value) for one in publisher.sent] == [("t.dead-letters", b"{")]


def test_what_a_source_is_known_to_send_for_nothing_is_not_kept() -> None:
    publisher = Publisher()
    answer = post(
        "/sources/tamradar", {"update_type": "radar_failure"}, "application/json", publisher=publisher
    )
    assert (answer.status_code, publisher.sent) == (202, [])


def test_a_body_with_a_wrong_signature_is_seen_once_in_a_while_and_cut_short() -> None:
    publisher = Publisher()
    intake = Intake(publisher, Topics("t"), Access((), {"theirstack": ("s3cret",)}), Context())
    for _ in range(3):
        answer = ask(intake, "POST", "/sources/theirstack", b"x" * 5_000, "application/json")
        assert answer.status_code == 401
    (letter,) = publisher.sent
    assert len(letter.value or b"") == SMALL_BYTES


def test_an_old_secret_holds_beside_the_new_one() -> None:
    access = Access((), {"theirstack": ("new", "old")})
    body = b'{"id":"1","type":"radar"}'
    for secret in (b"new", b"old"):
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        answer = post(
            "/sources/theirstack",
            body,
            "application/json",
            access=access,
            x_theirstack_signature_256=signature,
        )
        assert answer.status_code == 202


def test_the_handshake_of_cloudevents_webhooks_is_answered() -> None:
    answer = ask(
        Intake(Publisher(), Topics("t"), Access(), Context()),
        "OPTIONS",
        "/events",
        webhook_request_origin="eventgrid.example",
    )
    assert (answer.status_code, answer.headers["webhook-allowed-origin"]) == (200, "*")


def test_it_takes_nothing_more_once_it_closes() -> None:
    intake = Intake(Publisher(), Topics("t"), Access(), Context())
    asyncio.run(intake.close())
    answer = ask(intake, "POST", "/events", EVENT, STRUCTURED)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_it_is_ready_only_once_kafka_acknowledged_a_record() -> None:
    publisher = Publisher()
    intake = Intake(publisher, Topics("t"), Access(), Context())
    assert not intake.reachable
    await intake.prove()
    assert intake.reachable
    (proof,) = publisher.sent
    assert is_proof(read_dead_letter(proof.headers, proof.key, proof.value))


async def test_it_notices_without_any_request_that_kafka_is_away() -> None:
    intake = Intake(Publisher(), Topics("t"), Access(), Context())
    intake.reachable = True
    away = asyncio.Event()

    async def look() -> None:
        away.set()
        raise PublishFailed((), TimeoutError())

    async def prove() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(intake.keep_ready(prove, look, 0))
    await asyncio.wait_for(away.wait(), 5)
    await asyncio.sleep(0)
    assert not intake.reachable
    task.cancel()


def test_the_key_of_this_machine_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    path, key = keep_key(tmp_path / "folder")
    assert keep_key(tmp_path / "folder") == (path, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Access((key,)).find(path.read_text().strip()) == key


async def test_a_slow_sender_and_a_heavy_one_hold_up_no_other() -> None:
    intake = Intake(Publisher(), Topics("t"), Access(), Context())
    rest = asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"{"
        await rest.wait()
        yield b"}"

    transport = httpx.ASGITransport(build(intake))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        kind = {"content-type": "application/json"}
        slow = asyncio.create_task(client.post("/sources/rb2b", content=slow_body(), headers=kind))
        events = [EVENT | {"id": str(number)} for number in range(5_000)]
        heavy = asyncio.create_task(client.post("/events", content=orjson.dumps(events), headers=kind))
        await asyncio.sleep(0)
        quick = await client.post("/sources/tamradar", json={"update_type": "radar_failure"})
        assert (quick.status_code, slow.done(), heavy.done()) == (202, False, False)
        rest.set()
        assert (await slow).status_code == 202
        assert (await heavy).json()["accepted"] == 5_000
