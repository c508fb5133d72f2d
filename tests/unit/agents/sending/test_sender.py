"""What a sink's sender does with answers, contacts, credentials and people's decisions."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.sinks.operation import Contact
from resegment.sinks.port import Answer, Request
from tests.unit.agents.sending.world import Faults, World, command
from tests.vendors.hubspot import HubSpotServer
from tests.vendors.server import VendorServer
from tests.vendors.slack import SlackServer

ADA = Contact(email="ada@acme.com", first_name="Ada", title="CRO")
BO = Contact(email="bo@acme.com", first_name="Bo", title="VP Sales")


def world(vendor: str, server: VendorServer, *contacts: Contact, **given: Any) -> World:
    return World(vendor, server, {"acme.com": contacts}, Faults(random.Random(0)), **given)


def enroll(number: int = 0, **more: Any) -> RecordedMessage:
    return command(number, "acme.com", "enroll", **more)


async def test_a_command_that_is_repeated_is_carried_out_once() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server, ADA)
    await sink.run([enroll(0, key="k"), enroll(1, key="k")])
    assert server.enrolled == {("ada@acme.com", "44"): 1}
    assert sink.outcomes == {"k": "applied"}


async def test_a_person_who_opted_out_is_never_enrolled_though_another_row_has_the_same_address() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server, ADA, replace(ADA, email="ADA@acme.com", opted_out=True), BO)
    await sink.run([enroll()])
    assert server.enrolled == {("bo@acme.com", "44"): 1}


async def test_a_person_that_the_command_names_is_not_contacted() -> None:
    server = HubSpotServer()
    await world("hubspot", server, ADA, BO).run([enroll(do_not_contact=["Ada@acme.com"])])
    assert server.enrolled == {("bo@acme.com", "44"): 1}


async def test_nobody_is_contacted_by_a_command_that_lost_who_not_to_contact() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server, ADA, BO)
    await sink.run([enroll(0, key="k", forgotten=True)])
    assert server.enrolled == {}
    assert "who not to contact was forgotten" in repr(server.tasks)


async def test_the_plays_personas_choose_the_contacts() -> None:
    server = HubSpotServer()
    message = {"personas": [{"name": "buyer", "titles": ["vp sales"]}]}
    await world("hubspot", server, ADA, BO).run([enroll(message=message)])
    assert server.enrolled == {("bo@acme.com", "44"): 1}


async def test_an_account_without_contacts_becomes_a_task_and_a_note() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server)
    sender = await sink.run([enroll()])
    assert not server.enrolled
    (task,) = server.tasks.values()
    assert "no contact to enroll in w" in task["hs_task_subject"]
    assert [one["outcome"] for one in sender.condition.notes] == ["no-contact"]


async def test_a_contact_that_vanished_is_left_out_and_the_operator_is_told() -> None:
    server = HubSpotServer()
    server.contacts["52"] = {"email": "bo@acme.com"}
    server.gone.add("52")
    gone = replace(BO, ids={"hubspot": "52"})
    sink = world("hubspot", server, ADA, gone)
    sender = await sink.run([enroll()])
    assert sink.outcomes == {"acme.com-0": "partial"}
    assert "bo@acme.com: gone" in sender.condition.notes[0]["text"]
    assert server.enrolled == {("ada@acme.com", "44"): 1}


async def test_a_stop_at_hubspot_is_a_list_removal_and_a_task_and_says_so() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server, ADA)
    await sink.run([enroll(0), command(1, "acme.com", "stop", sequence=2)])
    assert server.lists["7"] == set()
    (task,) = server.tasks.values()
    assert task["hs_task_subject"] == "Un-enroll Ada of acme.com from the sequence 44"
    assert task["hubspot_owner_id"] == "77"
    assert "no operation to un-enroll" in (await sink.log.read("acme.com")).results["acme.com-1"].text


class Revoked(HubSpotServer):
    """Accepts one token only."""

    good = "new-token"

    def answer(self, request: Request) -> Answer:
        if ("Authorization", f"Bearer {self.good}") not in request.headers:
            return Answer(401, {"status": "error", "category": "INVALID_AUTHENTICATION", "message": "no"})
        return super().answer(request)


async def test_a_revoked_token_stops_the_sink_says_so_and_a_new_one_resumes_it() -> None:
    server = Revoked()
    sink = world("hubspot", server, ADA)
    sender = sink.sender()
    job = job_of(enroll())
    assert await sender.attempt(job) is not None
    assert sender.condition.signed_out is not None
    assert "not accepted" in (sender.problem or "")
    asked = len(server.received)
    for _ in range(5):  # nothing more is asked of the vendor
        assert await sender.attempt(job) is not None
    assert len(server.received) == asked == 0
    sink.secrets["token"] = Revoked.good
    assert await sender.attempt(job) is None
    assert sender.condition.signed_out is None
    assert server.enrolled == {("ada@acme.com", "44"): 1}
    assert sink.letters == []


def job_of(record: RecordedMessage) -> Any:
    from resegment.agents.batch import Batch  # noqa: PLC0415
    from resegment.agents.delivery import Job, read_command  # noqa: PLC0415

    return Job(read_command(record), Batch("workflow-commands", 0, ()), record, record.timestamp / 1000)


class Silent(HubSpotServer):
    """Enrolls, but neither answers that nor shows enrollments."""

    silent = True

    def answer(self, request: Request) -> Answer:
        answer = super().answer(request)
        if self.silent and "/enrollments" in request.path:
            return (
                Answer(403, {"message": "no"}) if request.method == "GET" else Answer(0, "no answer in time")
            )
        return answer


async def test_an_outcome_that_cannot_be_looked_up_is_left_to_a_person_and_not_repeated() -> None:
    server = Silent()
    sink = world("hubspot", server, ADA)
    await sink.run([enroll(0)])
    assert server.enrolled == {("ada@acme.com", "44"): 1}
    assert sink.outcomes == {"acme.com-0": "unknown"}
    (letter,) = sink.letters
    assert letter["reason"] == "unknown-outcome"
    await sink.run([enroll(0)])  # it comes again
    assert server.enrolled == {("ada@acme.com", "44"): 1}
    # a person looked, found that it is not done, and sends it again
    server.silent = False
    server.enrollments.clear()
    server.enrolled.clear()
    await sink.run([enroll(0, only="hubspot")])
    assert server.enrolled == {("ada@acme.com", "44"): 1}
    assert sink.outcomes == {"acme.com-0": "applied"}


async def test_a_stop_after_an_unknown_enrollment_takes_the_contact_out_too() -> None:
    server = Silent()
    sink = world("hubspot", server, ADA)
    await sink.run([enroll(0)])
    server.silent = False
    await sink.run([command(1, "acme.com", "stop", sequence=2)])
    assert [one["hs_task_subject"] for one in server.tasks.values()] == [
        "Un-enroll Ada of acme.com from the sequence 44"
    ]


async def test_a_command_that_is_sent_again_after_the_account_moved_on_is_not_carried_out() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server, ADA)
    await sink.run([enroll(0, key="new", sequence=5)])
    await sink.run([enroll(1, key="old", sequence=3, only="hubspot")])
    assert sink.outcomes["old"] == "skipped"
    assert server.enrolled == {("ada@acme.com", "44"): 1}


async def test_a_dry_run_changes_nothing_at_the_vendor_or_in_the_call_log() -> None:
    server = HubSpotServer()
    sink = world("hubspot", server, ADA, entry={"dry_run": True})
    await sink.run([enroll(0), command(1, "acme.com", "stop"), command(2, "acme.com", "escalate")])
    assert not server.enrolled
    assert not server.tasks
    assert server.lists["7"] == set()
    assert (await sink.log.read("acme.com")).results == {}
    assert sink.letters == []


async def test_what_is_not_mapped_is_not_for_the_sink() -> None:
    sink = world("hubspot", HubSpotServer(), ADA)
    assert not sink.sender().wants(job_of(enroll(workflow="other")).command)


async def test_a_busy_vendor_is_given_the_time_that_it_asks_for() -> None:
    class Busy(HubSpotServer):
        asked = 0

        def answer(self, request: Request) -> Answer:
            self.asked += 1
            if self.asked == 1:
                return Answer(429, {"message": "slow down"}, {"retry-after": "7"})
            return super().answer(request)

    server = Busy()
    sink = world("hubspot", server, ADA)
    begun = sink.time.now
    await sink.run([enroll(0)])
    assert sink.time.now - begun >= 7
    assert server.enrolled == {("ada@acme.com", "44"): 1}


async def test_a_command_that_never_succeeds_goes_to_the_dead_letters_in_time() -> None:
    class Broken(HubSpotServer):
        def answer(self, request: Request) -> Answer:
            return Answer(500, {"message": "oops"})

    sink = world("hubspot", Broken(), ADA, entry={"give_up_after": "10m"})
    await sink.run([enroll(0)])
    (letter,) = sink.letters
    assert letter["reason"] == "undeliverable"
    assert "gave up on the sink hubspot" in letter["message"]


async def test_slack_tells_the_owner_in_a_direct_message_once() -> None:
    server = SlackServer()
    sink = world("slack", server)
    await sink.run(
        [enroll(0, why=[{"test": "leadership joined"}], message={"message": {"value_prop": "Live <fast>"}})]
    )
    (message,) = server.messages["DU01"]
    assert "Why: leadership joined" in message["text"]
    assert "Live &lt;fast&gt;" in message["text"]


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"data": {"action": 7}}'])
async def test_a_record_that_is_no_command_is_dead_lettered(body: bytes) -> None:
    sink = world("hubspot", HubSpotServer(), ADA)
    job = job_of(enroll(0))
    job.command = replace(job.command, body=body)
    assert await sink.sender().attempt(job) is None
    assert sink.letters[0]["reason"] == "not-a-command"
