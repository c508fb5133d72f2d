"""lemlist as a sink: leads into a campaign, paused, given to another owner, and out of it again.

lemlist's tasks need a lead, and accounts that wait for their owner often have none there: tasks go to another sink.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping
from typing import Any, Final

from pydantic import Field

from resegment.sinks.operation import Contact, Enrolled, Operation
from resegment.sinks.port import (
    WITHHELD,
    Answer,
    Call,
    ContactResult,
    Limit,
    Options,
    Part,
    Request,
    Result,
    Steps,
    Vendor,
    Verdict,
    look,
    once,
    repeat,
    summarize,
)
from resegment.sinks.reading import (
    DRY,
    choose_contacts,
    choose_owner_id,
    do_each,
    explain,
    judge_json,
    leave_out_empty,
    says,
)


class LemlistOptions(Options):
    """The options of a lemlist team."""

    deduplicate: bool = Field(False, description="Whether persons who are in another campaign are left out")


class LemlistTarget(Part):
    """What a workflow maps to: a campaign."""

    campaign: str = Field(description="The id of the campaign, like cam_...", pattern=r"^[A-Za-z0-9_-]+$")


class Lemlist:
    """One team."""

    def __init__(self, options: LemlistOptions) -> None:
        self._options = options

    def carry_out(self, operation: Operation) -> Steps:
        if operation.kind == "enroll":
            contacts, left_out = choose_contacts(operation)
            done = yield from do_each(contacts, lambda one: self._enroll_one(one, operation))
            return summarize([*left_out, *done])
        if operation.kind in ("stop", "pause"):
            return summarize((yield from do_each(operation.enrolled, lambda one: _halt(one, operation))))
        if operation.kind == "reassign":
            return (yield from _reassign(operation))
        return Result("applied", "the leads' campaigns run to their end")

    def check(self) -> Steps:
        answer = yield look(Request("GET", "/api/team"))
        if not answer.ok:
            return Result("refused", explain(answer))
        return Result("applied", f"signed in to the team {answer.get('name', default=answer.get('_id'))}")

    def judge(self, answer: Answer) -> Verdict:
        if answer.status in {400, 403, 404} and says(answer, "api key"):
            return "unauthorized"  # no key, of a blocked user, or of none
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        pair = base64.b64encode(f":{secrets['token']}".encode()).decode()
        return request.with_headers(("Authorization", f"Basic {pair}"))

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets

    def _enroll_one(self, contact: Contact, operation: Operation) -> Generator[Call, Answer, ContactResult]:
        campaign = operation.target.campaign
        found = yield from _find_lead(contact, campaign)
        if isinstance(found, Answer):
            return _refuse(contact, found)
        if found:
            return ContactResult(contact, "already", "is in the campaign", found)
        query = [("deduplicate", "true")] if self._options.deduplicate else []
        request = Request(
            "POST", f"/api/campaigns/{campaign}/leads/", query=query, body=_write(contact, operation)
        )
        answer = yield once(request, f"enroll {contact.key}", looked=True)
        if answer is WITHHELD:
            return ContactResult(contact, "applied", DRY)
        if answer.ok:
            return ContactResult(contact, "applied", "", _keep(answer))
        return _refuse(contact, answer)


def _write(contact: Contact, operation: Operation) -> dict[str, Any]:
    owner = operation.owner
    return leave_out_empty(
        {
            "email": contact.email,
            "firstName": contact.first_name,
            "lastName": contact.last_name,
            "jobTitle": contact.title,
            "linkedinUrl": contact.linkedin,
            "phone": contact.phone,
            "companyDomain": operation.account,
            "contactOwner": choose_owner_id(operation, "user", None if owner is None else owner.email),
            "resegment_key": operation.key,
            "resegment_segment": operation.segment,
            "resegment_play": operation.play,
        }
    )


def _refuse(contact: Contact, answer: Answer) -> ContactResult:
    """Return what a refusal means for the contact. lemlist says it in a line of text."""
    why = explain(answer)
    if says(answer, "already in the campaign", "already in this campaign"):
        return ContactResult(contact, "already", why)
    if says(answer, "already", "duplicate", "other campaign", "another campaign"):
        return ContactResult(contact, "skipped", why)
    if says(answer, "unsubscribe", "graveyard", "blacklist", "blocklist", "invalid email"):
        return ContactResult(contact, "skipped", why)
    if answer.verdict == "gone":
        return ContactResult(contact, "gone", f"the campaign or the lead is gone: {why}")
    return ContactResult(contact, "refused", why)


def _find_lead(contact: Contact, campaign: str) -> Generator[Call, Answer, dict[str, str] | Answer]:
    """Return the references of the lead in the campaign; empty if it is not there; or the answer that refuses."""
    query = [("email", contact.key), ("version", "v2")]
    answer = yield look(Request("GET", "/api/leads", query=query))
    if answer.verdict == "gone":
        return {}
    if not answer.ok:
        return answer
    rows = answer.body if isinstance(answer.body, list) else [answer.body]
    for row in (Answer(200, one) for one in rows if isinstance(one, dict)):
        places = [row.get("campaignId"), row.get("campaign", "id"), row.get("campaign", "_id")]
        if campaign in places and row.get("_id"):
            return _keep(row)
        for place in (Answer(200, one) for one in row.rows("campaigns")):
            lead = place.get("leadId", default=row.get("_id"))
            if campaign in [place.get("campaignId"), place.get("id"), place.get("_id")] and lead:
                return {"lead": str(lead)}
    return {}


def _keep(answer: Answer) -> dict[str, str]:
    found = {"lead": answer.get("_id"), "contact": answer.get("contactId")}
    return {name: str(one) for name, one in found.items() if one}


def _find_enrolled(enrolled: Enrolled, operation: Operation) -> Generator[Call, Answer, str | ContactResult]:
    lead = enrolled.references.get("lead") or enrolled.contact.ids.get("lemlist")
    if lead:
        return lead
    found = yield from _find_lead(enrolled.contact, operation.target.campaign)
    if isinstance(found, Answer):
        return _refuse(enrolled.contact, found)
    if not found:
        return ContactResult(enrolled.contact, "already", "is not in the campaign")
    return found["lead"]


def _halt(enrolled: Enrolled, operation: Operation) -> Generator[Call, Answer, ContactResult]:
    """Take a lead out of the campaign, or pause it. Without `action=remove` lemlist would unsubscribe the person."""
    contact = enrolled.contact
    campaign = operation.target.campaign
    lead = yield from _find_enrolled(enrolled, operation)
    if isinstance(lead, ContactResult):
        return lead
    if operation.kind == "pause":
        request = Request("POST", f"/api/leads/pause/{lead}", query=[("campaignId", campaign)])
    else:
        query = [("action", "remove")]
        request = Request("DELETE", f"/api/campaigns/{campaign}/leads/{lead}", query=query)
    answer = yield repeat(request)
    if answer.ok:
        return ContactResult(contact, "applied")
    if operation.kind == "stop" and answer.verdict == "gone":
        return ContactResult(contact, "already", "is not in the campaign")
    return _refuse(contact, answer)


def _reassign(operation: Operation) -> Steps:
    owner = operation.owner
    user = choose_owner_id(operation, "user", None if owner is None else owner.email)
    if user is None:
        return Result("refused", "the new owner has no `user` for lemlist in sinks.yaml")

    def give(enrolled: Enrolled) -> Generator[Call, Answer, ContactResult]:
        lead = yield from _find_enrolled(enrolled, operation)
        if isinstance(lead, ContactResult):
            return lead
        path = f"/api/campaigns/{operation.target.campaign}/leads/{lead}"
        answer = yield repeat(Request("PATCH", path, body={"contactOwner": user}))
        return ContactResult(enrolled.contact, "applied") if answer.ok else _refuse(enrolled.contact, answer)

    return summarize((yield from do_each(operation.enrolled, give)))


LEMLIST: Final = Vendor(
    name="lemlist",
    title="lemlist",
    base="https://api.lemlist.com",
    capabilities=frozenset({"enroll", "stop", "pause", "move"}),
    credentials=(("token",),),
    target=LemlistTarget,
    options=LemlistOptions,
    build=Lemlist,
    owner_ids={"user": "the id of the user, like usr_..."},
    limits=(Limit(20, 2.0),),
)
