"""Smartlead as a sink: leads into a campaign, in bulk, paused, and out of it again. The key is part of each URL."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
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
    count,
    do_each,
    explain,
    is_since,
    judge_json,
    leave_out_empty,
    number,
    says,
)

MAX_LEADS: Final = 400
"""How many leads one request may add."""
ENDED: Final = frozenset({"COMPLETED", "STOPPED", "BLOCKED", "BOUNCED", "UNSUBSCRIBED"})
"""The states of a lead in a campaign in which nothing more is sent."""
_COUNTS: Final = {
    "already_added_to_campaign": "in the campaign already",
    "duplicate_count": "twice, or in another campaign",
    "block_count": "on the block list",
    "blocked_count": "on the block list",
    "unsubscribed_leads": "unsubscribed",
    "invalid_email_count": "invalid e-mail address",
    "bounce_count": "bounced before",
}


class SmartleadTarget(Part):
    """What a workflow maps to: a campaign."""

    campaign: int = Field(description="The id of the campaign")


class Smartlead:
    """One account."""

    def __init__(self, options: Options) -> None:
        del options

    def carry_out(self, operation: Operation) -> Steps:
        if operation.kind == "enroll":
            return (yield from _enroll(operation))
        if operation.kind in ("stop", "pause"):
            done = yield from do_each(operation.enrolled, lambda one: _halt(one, operation))
            return summarize(done)
        return Result("applied", "the leads' campaigns run to their end")

    def check(self) -> Steps:
        answer = yield look(Request("GET", "/api/v1/campaigns/"))
        if not answer.ok:
            return Result("refused", explain(answer))
        found = len(answer.body) if isinstance(answer.body, list) else len(answer.rows("data"))
        return Result("applied", f"signed in; {found} campaigns")

    def judge(self, answer: Answer) -> Verdict:
        if answer.status in {400, 403} and says(answer, "api key", "api_key"):
            return "unauthorized"
        if answer.status == 200 and (answer.get("ok") is False or answer.get("success") is False):
            return "retry" if says(answer, "too many requests", "rate limit") else "refused"
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        return request.with_query(("api_key", secrets["token"]))

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets


def _enroll(operation: Operation) -> Steps:
    contacts, results = choose_contacts(operation)
    counts: dict[str, int] = {}
    new: list[Contact] = []
    for contact in contacts:
        found = yield from _find_lead(contact, operation.target.campaign)
        if isinstance(found, Answer):
            results.append(_refuse(contact, found))
        elif found.get("campaign"):
            results.append(_read_known(contact, found, operation))
        else:
            new.append(contact)
    for start in range(0, len(new), MAX_LEADS):
        batch = new[start : start + MAX_LEADS]
        results += yield from _add(operation, batch, start // MAX_LEADS, counts)
    return replace(summarize(results), counts=counts)


def _add(
    operation: Operation, contacts: Sequence[Contact], place: int, counts: dict[str, int]
) -> Generator[Call, Answer, list[ContactResult]]:
    """Add leads. Settings are left out: Smartlead's defaults keep its block list and its unsubscribed out."""
    campaign = operation.target.campaign
    body = {"lead_list": [_write(one, operation) for one in contacts]}
    request = Request("POST", f"/api/v1/campaigns/{campaign}/leads", body=body)
    answer = yield once(request, f"enroll {place}" if place else "enroll", looked=True)
    if answer is WITHHELD:
        return [ContactResult(one, "applied", DRY) for one in contacts]
    if not answer.ok and answer.verdict != "conflict":
        return [_refuse(one, answer) for one in contacts]
    for name in ("inserted_count", "upload_count", *_COUNTS):
        if count(answer, name):
            counts[name] = counts.get(name, 0) + count(answer, name)
    results = []
    reasons = _read_skipped(answer)
    for contact in contacts:
        # Only counts come back, and no ids: look who is in
        found = yield from _find_lead(contact, campaign)
        if isinstance(found, dict) and found.get("campaign"):
            results.append(ContactResult(contact, "applied", "", _keep(found)))
        else:
            results.append(_read_missing(contact, answer, len(contacts), reasons))
    return results


def _read_known(contact: Contact, found: Mapping[str, Any], operation: Operation) -> ContactResult:
    """Return what it means that the campaign has the lead already: it runs a lead once."""
    entry = found["campaign"]
    state = str(entry.get("status", "")).upper()
    if state in ENDED and not is_since(entry.get("created_at"), operation.at):
        why = f"was in the campaign before ({state.lower()}), and Smartlead runs a lead once"
        return ContactResult(contact, "skipped", why)
    return ContactResult(contact, "already", "is in the campaign", _keep(found))


def _write(contact: Contact, operation: Operation) -> dict[str, Any]:
    return leave_out_empty(
        {
            "email": contact.email,
            "first_name": contact.first_name,
            "last_name": contact.last_name,
            "phone_number": contact.phone,
            "website": operation.account,
            "custom_fields": leave_out_empty(
                {
                    "resegment_key": operation.key,
                    "resegment_segment": operation.segment,
                    "resegment_play": operation.play,
                    "title": contact.title,
                    "linkedin": contact.linkedin,
                }
            ),
        }
    )


def _read_skipped(answer: Answer) -> dict[str, str]:
    """Return why leads were left out, by e-mail address."""
    found = {}
    for row in answer.rows("skipped_leads"):
        email = row.get("email")
        if isinstance(email, str):
            found[email.strip().lower()] = str(row.get("reason") or row.get("error") or "no reason given")
    for name, words in (("invalid_emails", "invalid e-mail address"), ("unsubscribed_leads", "unsubscribed")):
        listed = answer.get(name)
        for email in listed if isinstance(listed, list) else []:
            if isinstance(email, str):
                found[email.strip().lower()] = words
    return found


def _read_missing(contact: Contact, answer: Answer, sent: int, reasons: Mapping[str, str]) -> ContactResult:
    """Return what became of a lead that is not seen in the campaign after it was sent."""
    if contact.key in reasons:
        return ContactResult(contact, "skipped", f"left out by Smartlead: {reasons[contact.key]}")
    if answer.get("is_lead_limit_exhausted") is True:
        return ContactResult(contact, "refused", "the plan's number of leads is exhausted")
    if answer.verdict == "conflict":
        return ContactResult(contact, "already", explain(answer))
    if count(answer, "inserted_count", "upload_count") == sent:
        return ContactResult(contact, "applied", "added, and not shown yet")
    numbers = ", ".join(f"{one} {words}" for name, words in _COUNTS.items() if (one := count(answer, name)))
    return ContactResult(
        contact, "skipped", f"left out by Smartlead: {numbers}" if numbers else "not added, without a reason"
    )


def _refuse(contact: Contact, answer: Answer) -> ContactResult:
    why = explain(answer)
    if answer.verdict == "gone":
        return ContactResult(contact, "gone", f"the campaign or the lead is gone: {why}")
    return ContactResult(contact, "refused", why)


def _find_lead(contact: Contact, campaign: int) -> Generator[Call, Answer, dict[str, Any] | Answer]:
    """Return the lead's id, and its entry in the campaign; empty if Smartlead does not know it."""
    answer = yield look(Request("GET", "/api/v1/leads/", query=[("email", contact.key)]))
    if answer.verdict == "gone":
        return {}
    if not answer.ok:
        return answer
    row = Answer(200, answer.get("data", default=answer.body))
    lead = number(row.get("id"))
    if lead is None:
        return {}
    listed = row.rows("lead_campaign_data")
    if not listed:
        campaigns = yield look(Request("GET", f"/api/v1/leads/{lead}/campaigns"))
        if not campaigns.ok and campaigns.verdict != "gone":
            return campaigns
        body = campaigns.body
        rows = body if isinstance(body, list) else campaigns.rows("data") or campaigns.rows("campaigns")
        listed = [one for one in rows if isinstance(one, dict)]
    here = [one for one in listed if number(one.get("campaign_id", one.get("id"))) == campaign]
    return {"id": lead, "campaign": here[0] if here else None}


def _keep(found: Mapping[str, Any]) -> dict[str, str]:
    return {"lead": str(found["id"])}


def _halt(enrolled: Enrolled, operation: Operation) -> Generator[Call, Answer, ContactResult]:
    """Take a lead out of the campaign, or pause it. It is not unsubscribed: nobody asked for that."""
    contact = enrolled.contact
    campaign = operation.target.campaign
    lead = number(enrolled.references.get("lead") or contact.ids.get("smartlead"))
    if lead is None:
        found = yield from _find_lead(contact, campaign)
        if isinstance(found, Answer):
            return _refuse(contact, found)
        if not found.get("campaign"):
            return ContactResult(contact, "already", "is not in the campaign")
        lead = found["id"]
    path = f"/api/v1/campaigns/{campaign}/leads/{lead}"
    request = Request("POST", f"{path}/pause") if operation.kind == "pause" else Request("DELETE", path)
    answer = yield repeat(request)
    if answer.ok:
        return ContactResult(contact, "applied")
    if answer.verdict == "gone" and operation.kind == "stop":
        return ContactResult(contact, "already", "is not in the campaign")
    return _refuse(contact, answer)


SMARTLEAD: Final = Vendor(
    name="smartlead",
    title="Smartlead",
    base="https://server.smartlead.ai",
    capabilities=frozenset({"enroll", "stop", "pause"}),
    credentials=(("token",),),
    target=SmartleadTarget,
    build=Smartlead,
    limits=(Limit(10, 2.0), Limit(60, 60.0)),
    settle=15.0,
)
