"""What a sink's sender makes of answers that say nothing, of waits, of other sinks' troubles, and of people who opt out."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from resegment.agents.sending.ports import ContactsUnavailable
from resegment.agents.sending.runner import Later, SignIn
from resegment.agents.sending.work import CommandWork, ContactRules, Performer
from resegment.sinks.operation import Contact
from resegment.sinks.port import MAX_RETRY_AFTER, Answer, Request, retry_after
from tests.unit.agents.sending.test_sender import ADA, BO, Revoked, enroll, job_of, world
from tests.unit.agents.sending.world import Faults, World, command
from tests.vendors.hubspot import HubSpotServer
from tests.vendors.instantly import InstantlyServer
from tests.vendors.outreach import OutreachServer
from tests.vendors.samples import SAMPLES
from tests.vendors.slack import SlackServer


@pytest.mark.parametrize(
    "said", [None, "", "OK", "<html>Sign in</html>", 7, {}, [], {"data": None}, {"errors": [{"id": "oops"}]}]
)
async def test_a_look_that_says_nothing_did_not_see_that_nothing_is_there(said: Any) -> None:
    class Odd(OutreachServer):
        looks = 0

        def answer(self, request: Request) -> Answer:
            if request.path.endswith("/sequenceStates") and request.method == "GET":
                self.looks += 1
                if self.looks == 1:
                    return Answer(200, said)
            return super().answer(request)

    server = Odd()
    sink = world("outreach", server, ADA)
    job = job_of(enroll())
    sender = sink.sender()
    assert await sender.attempt(job) is not None
    assert not server.enrolled
    assert "not an answer of the vendor" in (sender.problem or "")
    assert await sender.attempt(job) is None
    assert list(server.enrolled.values()) == [1]


async def test_a_503_after_a_change_is_given_the_time_that_it_asks_for() -> None:
    class Busy(HubSpotServer):
        def answer(self, request: Request) -> Answer:
            if request.method == "POST" and request.path.endswith("/enrollments"):
                return Answer(503, {"message": "down"}, {"retry-after": "120"})
            return super().answer(request)

    sink = world("hubspot", Busy(), ADA)
    assert await sink.sender().attempt(job_of(enroll())) == 120


def test_a_date_counts_from_the_clock_of_the_vendor() -> None:
    headers = {"retry-after": "Sun, 01 Feb 2026 10:00:30 GMT", "date": "Sun, 01 Feb 2026 10:00:00 GMT"}
    for our_clock in (0.0, 1_769_940_000.0, 4e9):
        assert retry_after(Answer(429, headers=headers), our_clock) == 30


def test_no_vendor_can_ask_for_more_than_an_hour() -> None:
    assert retry_after(Answer(429, headers={"retry-after": "99999999"}), 0.0) == MAX_RETRY_AFTER


@pytest.mark.parametrize(
    "answer",
    [Answer(200, "<html>Sign in</html>"), Answer(503, None, {"retry-after": "99999999999"}), Answer(408)],
)
def test_a_sign_in_that_gets_no_answer_of_the_vendor_comes_back_later(answer: Answer) -> None:
    async def send(_: Request) -> Answer:
        return answer

    given = {"client_id": "c", "client_secret": "s", "redirect_uri": "https://x.test", "refresh_token": "r"}
    with pytest.raises(Later) as later:
        asyncio.run(SignIn(SAMPLES["outreach"].sink(), lambda: given).current(send))
    assert (later.value.wait or 0) <= MAX_RETRY_AFTER


# Tasks in another sink


def with_tasks(sink: World, tasks: World) -> Any:
    """Return the sender of a sink whose tasks go to another."""
    sender = sink.sender()
    other = tasks.sender()
    performer = Performer(sink.loaded(), sender._runner)
    rules = ContactRules(_Table(sink.contacts), {}, 3, str.lower)
    sender._work = CommandWork(performer, rules, Performer(tasks.loaded(), other._runner))
    return sender


class _Table:
    def __init__(self, contacts: Any) -> None:
        self.contacts = contacts

    async def find(self, account: str) -> Any:
        return self.contacts.get(account, ())


async def test_a_dry_run_tells_nobody_through_another_sink() -> None:
    slack = SlackServer()
    sink = world("instantly", InstantlyServer(), entry={"dry_run": True})
    assert await with_tasks(sink, world("slack", slack)).attempt(job_of(enroll())) is None
    assert not slack.told
    assert {one.path for one in slack.received} == {"/api/users.lookupByEmail"}
    assert sink.outcomes == {"acme.com-0": "applied"}


async def test_revoked_credentials_of_the_sink_with_the_tasks_do_not_sign_out_this_one() -> None:
    slack = SlackServer(revoked=True)
    sink = world("instantly", InstantlyServer())
    sender = with_tasks(sink, world("slack", slack))
    job = job_of(enroll())
    assert await sender.attempt(job) is not None
    assert sender.condition.signed_out is None
    assert "slack" in (sender.problem or "")
    assert sender.failing_since is not None
    slack.revoked = False
    assert await sender.attempt(job) is None
    assert list(slack.told.values()) == [1]


# Contacts


async def test_contacts_that_cannot_be_found_now_are_waited_for_and_shown() -> None:
    class Down(_Table):
        async def find(self, account: str) -> Any:
            raise ContactsUnavailable("the sink crm cannot be asked for contacts")

    sink = world("hubspot", HubSpotServer(), ADA)
    sender = sink.sender()
    performer = Performer(sink.loaded(), sender._runner)
    sender._work = CommandWork(performer, ContactRules(Down({}), {}, 3, str.lower), None)
    assert await sender.attempt(job_of(enroll())) is not None
    assert sender.problem == "the sink crm cannot be asked for contacts"
    assert sender.failing_since is not None


async def test_a_stop_of_an_account_that_this_sink_never_enrolled_is_no_dead_letter() -> None:
    sink = world("hubspot", HubSpotServer(contacts={}), ADA, BO)
    await sink.run([command(0, "acme.com", "stop")])
    assert sink.outcomes == {"acme.com-0": "skipped"}
    assert sink.letters == []


async def test_a_person_who_opts_out_while_a_command_waits_is_not_enrolled() -> None:
    server = Revoked()
    sink = World("hubspot", server, {"acme.com": (ADA, BO)}, Faults(random.Random(0)))
    sender = sink.sender()
    job = job_of(enroll())
    assert await sender.attempt(job) is not None  # the contacts are chosen, and the token is refused
    sink.contacts["acme.com"] = (replace(ADA, opted_out=True), BO)  # type: ignore[index]
    sink.secrets["token"] = Revoked.good
    assert await sender.attempt(job) is None
    assert server.enrolled == {("bo@acme.com", "44"): 1}


async def test_a_contact_by_an_id_only_is_taken_out_when_the_log_is_lost() -> None:
    server = HubSpotServer()
    server.lists["7"] = {"51"}
    sink = world("hubspot", server, Contact(first_name="Ada", ids={"hubspot": "51"}))
    await sink.run([command(0, "acme.com", "stop")])
    assert server.lists["7"] == set()


async def test_an_answer_that_the_sink_fails_on_ends_in_the_dead_letters_and_stops_no_other_account() -> None:
    server = HubSpotServer()
    server.contacts["52"] = {"email": "bo@other.com"}
    sink = World(
        "hubspot",
        server,
        {"acme.com": (ADA,), "other.com": (Contact(email="bo@other.com"),)},
        Faults(random.Random(0)),
        entry={"give_up_after": "10m"},
    )
    loaded = sink.loaded()

    def fail(operation: Any) -> Any:
        if operation.account == "acme.com":
            raise TypeError("unhashable type: 'list'")
        return (yield from type(loaded.sink).carry_out(loaded.sink, operation))

    loaded.sink.carry_out = fail  # type: ignore[method-assign]
    sink.loaded = lambda: loaded  # type: ignore[method-assign]
    await sink.run([enroll(0), command(1, "other.com", "enroll")])
    assert server.enrolled == {("bo@other.com", "44"): 1}
    (letter,) = sink.letters
    assert "the sink cannot read an answer: TypeError: unhashable type" in letter["message"]
