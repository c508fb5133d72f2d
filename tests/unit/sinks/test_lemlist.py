"""lemlist answers in lines of text, and unsubscribes where one only wants to remove."""

from __future__ import annotations

import base64

import pytest

from resegment.sinks.kit import SignedOut, list_requests, run
from resegment.sinks.operation import Enrolled
from resegment.sinks.port import Answer, Request
from resegment.sinks.registry import VENDORS
from tests.vendors.lemlist import CAMPAIGN, LemlistServer
from tests.vendors.samples import SAMPLES

SAMPLE = SAMPLES["lemlist"]


def test_the_key_is_the_password_of_nobody() -> None:
    request = list_requests(SAMPLE.sink(), SAMPLE.operation("enroll"), LemlistServer().answer)[0]
    name, value = SAMPLE.sink().authorize(request, {"token": "the-key"}).headers[-1]
    assert (name, base64.b64decode(value.removeprefix("Basic "))) == ("Authorization", b":the-key")


def test_a_lead_has_the_key_as_a_variable_and_the_owner() -> None:
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("enroll", "k9"), LemlistServer().answer)
    added = next(one for one in made if one.method == "POST")
    assert added.path == f"/api/campaigns/{CAMPAIGN}/leads/"
    assert added.body["resegment_key"] == "k9"
    assert added.body["contactOwner"] == "usr_2"
    assert all(isinstance(one, str) for one in added.body.values())


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(400, "Lead already in the campaign"), "already"),
        (Answer(400, "Lead already in an other campaign"), "skipped"),
        (Answer(400, "Email is unsubscribed"), "skipped"),
        (Answer(400, "Bad team"), "refused"),
        (Answer(404, "Campaign not found"), "gone"),
        (Answer(405, "Method not allowed"), "refused"),
    ],
)
def test_the_lines_that_lemlist_answers(answer: Answer, outcome: str) -> None:
    server = LemlistServer()

    def give(request: Request) -> Answer:
        return answer if request.method == "POST" else server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert {one.outcome for one in result.contacts} == {outcome}
    assert all(str(answer.body) in one.why for one in result.contacts)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, "No API key provided"),
        Answer(401, "The authentication you supplied is incorrect"),
        Answer(403, "User linked to this API key is blocked"),
        Answer(404, "No user found for this API key"),
    ],
)
def test_a_key_of_nobody_stops_it(answer: Answer) -> None:
    with pytest.raises(SignedOut):
        run(SAMPLE.sink(), SAMPLE.operation("enroll"), lambda _: answer)


def test_other_campaigns_may_count() -> None:
    vendor = VENDORS["lemlist"]
    sink = vendor.build(vendor.options.model_validate({"deduplicate": True}))
    result = run(sink, SAMPLE.operation("enroll"), LemlistServer().answer)
    assert [one.outcome for one in result.contacts] == ["skipped", "applied"]


@pytest.mark.parametrize(
    "body",
    [
        {"_id": "lea_1", "campaignId": CAMPAIGN},
        [{"_id": "lea_1", "campaign": {"id": CAMPAIGN, "name": "First 90 days"}}],
        {"_id": "ctc_1", "campaigns": [{"campaignId": CAMPAIGN, "leadId": "lea_1"}]},
    ],
)
def test_a_lead_is_seen_in_the_campaign_in_each_shape(body: object) -> None:
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), lambda _: Answer(200, body))
    assert {one.outcome for one in result.contacts} == {"already"}
    assert result.contacts[0].references["lead"] == "lea_1"


def test_a_stop_forces_the_removal() -> None:
    server = LemlistServer()
    first = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    enrolled = tuple(Enrolled(one.contact, one.references, "k1") for one in first.contacts)
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("stop", enrolled=enrolled), server.answer)
    assert [(one.method, tuple(one.query)) for one in made] == [("DELETE", (("action", "remove"),))] * 2


def test_a_pause_names_the_campaign() -> None:
    server = LemlistServer()
    first = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    enrolled = tuple(Enrolled(one.contact, one.references, "k1") for one in first.contacts)
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("pause", enrolled=enrolled), server.answer)
    assert {tuple(one.query) for one in made} == {(("campaignId", CAMPAIGN),)}
    assert {one["isPaused"] for one in server.leads.values() if one["campaignId"] == CAMPAIGN} == {True}
