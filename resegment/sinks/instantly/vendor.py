"""Instantly as a sink (API v2): leads into a campaign, in bulk, and out of it again."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

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
    count,
    do_each,
    explain,
    is_since,
    judge_json,
    leave_out_empty,
)

MAX_LEADS: Final = 1_000
"""How many leads one request may add."""
PER_PAGE: Final = 100
_RUNNING: Final = (1, 2)
_STATES: Final = {3: "completed", -1: "bounced", -2: "unsubscribed", -3: "skipped"}
_COUNTS: Final = {
    "in_blocklist": "on the block list",
    "invalid_email_count": "invalid e-mail address",
    "incomplete_count": "incomplete",
    "duplicated_leads": "in the campaign already",
    "skipped_count": "in another campaign or list of the workspace",
    "duplicate_email_count": "twice in the request",
}


class InstantlyOptions(Options):
    """The options of an Instantly workspace."""

    skip_in_other_campaigns: bool = Field(
        False, description="Whether persons who are in another campaign of the workspace are left out"
    )
    skip_in_workspace: bool = Field(
        False, description="Whether persons who are in any campaign or list of the workspace are left out"
    )


class InstantlyTarget(Part):
    """What a workflow maps to: a campaign."""

    campaign: UUID = Field(description="The id of the campaign")


class Instantly:
    """One workspace."""

    def __init__(self, options: InstantlyOptions) -> None:
        self._options = options

    def carry_out(self, operation: Operation) -> Steps:
        if operation.kind == "enroll":
            return (yield from self._enroll(operation))
        if operation.kind == "stop":
            return (yield from _stop(operation))
        if operation.kind == "reassign":
            return (yield from _reassign(operation))
        return Result("applied", "the leads' campaigns run to their end")

    def check(self) -> Steps:
        answer = yield look(Request("GET", "/api/v2/workspaces/current"))
        if not answer.ok:
            return Result("refused", explain(answer))
        return Result("applied", f"signed in to the workspace {answer.get('name', default=answer.get('id'))}")

    def judge(self, answer: Answer) -> Verdict:
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        return request.with_headers(("Authorization", f"Bearer {secrets['token']}"))

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets

    def _enroll(self, operation: Operation) -> Steps:
        contacts, results = choose_contacts(operation)
        counts: dict[str, int] = {}
        for start in range(0, len(contacts), MAX_LEADS):
            batch = contacts[start : start + MAX_LEADS]
            done = yield from self._enroll_batch(operation, batch, start // MAX_LEADS, counts)
            results += done
        return replace(summarize(results), counts=counts)

    def _enroll_batch(
        self, operation: Operation, contacts: Sequence[Contact], number: int, counts: dict[str, int]
    ) -> Generator[Call, Answer, list[ContactResult]]:
        known = yield from _find_leads(operation, [one.key for one in contacts])
        if isinstance(known, Answer):
            return [_refuse(one, known) for one in contacts]
        results = [_read_known(one, known[one.key], operation) for one in contacts if one.key in known]
        new = [one for one in contacts if one.key not in known]
        if not new:
            return results
        body = leave_out_empty(
            {
                "campaign_id": str(operation.target.campaign),
                "leads": [_write(one, operation) for one in new],
                "assigned_to": choose_owner_id(operation, "user"),
                "skip_if_in_campaign": self._options.skip_in_other_campaigns,
                "skip_if_in_workspace": self._options.skip_in_workspace,
            }
        )
        step = f"enroll {number}" if number else "enroll"
        answer = yield once(Request("POST", "/api/v2/leads/add", body=body), step, looked=True)
        if answer is WITHHELD:
            return [*results, *(ContactResult(one, "applied", DRY) for one in new)]
        if not answer.ok:
            return [*results, *(_refuse(one, answer) for one in new)]
        for name in ("total_sent", "leads_uploaded", *_COUNTS):
            counts[name] = counts.get(name, 0) + count(answer, name)
        created = _list_created(new, answer)
        if not created and count(answer, "leads_uploaded"):  # an answer without the list: look who is in
            known = yield from _find_leads(operation, [one.key for one in new])
            if not isinstance(known, Answer):
                created = {email: str(row.get("id")) for email, row in known.items()}
        return [*results, *_read_added(new, created, answer)]


def _write(contact: Contact, operation: Operation) -> dict[str, Any]:
    return leave_out_empty(
        {
            "email": contact.email,
            "first_name": contact.first_name,
            "last_name": contact.last_name,
            "job_title": contact.title,
            "phone": contact.phone,
            "website": f"https://{operation.account}",
            "custom_variables": leave_out_empty(
                {
                    "resegment_key": operation.key,
                    "resegment_segment": operation.segment,
                    "resegment_play": operation.play,
                }
            ),
        }
    )


def _find_leads(
    operation: Operation, emails: Sequence[str]
) -> Generator[Call, Answer, dict[str, Answer] | Answer]:
    """Return the campaign's leads of some e-mail addresses, or the answer that refuses."""
    campaign = str(operation.target.campaign)
    found: dict[str, Answer] = {}
    for start in range(0, len(emails), PER_PAGE):
        wanted = list(emails[start : start + PER_PAGE])
        body = {"campaign": campaign, "contacts": wanted, "limit": PER_PAGE}
        answer = yield look(Request("POST", "/api/v2/leads/list", body=body), expects="items")
        if not answer.ok:
            return answer
        for row in answer.rows("items"):
            email = str(row.get("email")).strip().lower()
            if email in wanted and row.get("campaign") in (None, campaign):
                found[email] = Answer(200, row)
    return found


def _read_known(contact: Contact, lead: Answer, operation: Operation) -> ContactResult:
    """Return what it means that the campaign has the lead already: it runs a lead once."""
    references = {"lead": str(lead.get("id"))}
    state = lead.get("status", default=1)
    if state in _RUNNING or is_since(lead.get("timestamp_created"), operation.at):
        return ContactResult(contact, "already", "is in the campaign", references)
    ended = _STATES.get(state, str(state)) if isinstance(state, int) else "in a state that is not known"
    why = f"was in the campaign before ({ended}), and Instantly runs a lead once"
    return ContactResult(contact, "skipped", why, references)


def _list_created(contacts: Sequence[Contact], answer: Answer) -> dict[str, str]:
    """Return the ids of the leads that were created, by e-mail address."""
    created = {}
    for row in answer.rows("created_leads"):
        index = row.get("index")
        email = row.get("email")
        if isinstance(email, str):
            created[email.strip().lower()] = str(row.get("id"))
        elif isinstance(index, int) and 0 <= index < len(contacts):
            created[contacts[index].key] = str(row.get("id"))
    return created


def _read_added(
    contacts: Sequence[Contact], created: Mapping[str, str], answer: Answer
) -> list[ContactResult]:
    """Return what became of each lead: of those left out, Instantly gives only counts."""
    left_out = {words: number for name, words in _COUNTS.items() if (number := count(answer, name))}
    numbers = ", ".join(f"{number} {words}" for words, number in left_out.items())
    results = []
    for one in contacts:
        if one.key in created:
            results.append(ContactResult(one, "applied", "", {"lead": created[one.key]}))
        elif list(left_out) == [_COUNTS["duplicated_leads"]]:
            results.append(ContactResult(one, "already", "is in the campaign"))
        else:
            why = f"left out by Instantly: {numbers}" if numbers else "not among the leads that were created"
            results.append(ContactResult(one, "skipped", why))
    return results


def _refuse(contact: Contact, answer: Answer) -> ContactResult:
    why = explain(answer)
    if answer.status == 402:
        return ContactResult(contact, "refused", f"the plan of the workspace does not allow it: {why}")
    if answer.verdict == "gone":
        return ContactResult(contact, "gone", f"the campaign is gone: {why}")
    return ContactResult(contact, "refused", why)


def _find_enrolled(operation: Operation) -> Generator[Call, Answer, dict[str, str] | Answer]:
    """Return the leads' ids by contact, or the answer that refuses."""
    found = {one.contact.key: lead for one in operation.enrolled if (lead := one.references.get("lead"))}
    missing = [
        one.contact.key for one in operation.enrolled if one.contact.email and one.contact.key not in found
    ]
    if missing:
        rows = yield from _find_leads(operation, missing)
        if isinstance(rows, Answer):
            return rows
        found |= {email: str(row.get("id")) for email, row in rows.items()}
    return found


def _stop(operation: Operation) -> Steps:
    """Take the leads out of the campaign. Ids are always sent: without them Instantly would delete every lead."""
    found = yield from _find_enrolled(operation)
    if isinstance(found, Answer):
        return summarize([_refuse(one.contact, found) for one in operation.enrolled])
    results = [
        ContactResult(one.contact, "already", "is not in the campaign")
        for one in operation.enrolled
        if one.contact.key not in found
    ]
    there = [one.contact for one in operation.enrolled if one.contact.key in found]
    if not there:
        return summarize(results)
    body = {"campaign_id": str(operation.target.campaign), "ids": [found[one.key] for one in there]}
    answer = yield repeat(Request("DELETE", "/api/v2/leads", body=body))
    if not answer.ok:
        return summarize([*results, *(_refuse(one, answer) for one in there)])
    results += [ContactResult(one, "applied") for one in there]
    return summarize(results, deleted=count(answer, "count"))


def _reassign(operation: Operation) -> Steps:
    user = choose_owner_id(operation, "user")
    if user is None:
        return Result("refused", "the new owner has no `user` for Instantly in sinks.yaml")
    found = yield from _find_enrolled(operation)
    if isinstance(found, Answer):
        return summarize([_refuse(one.contact, found) for one in operation.enrolled])
    leads = found

    def give(enrolled: Enrolled) -> Generator[Call, Answer, ContactResult]:
        lead = leads.get(enrolled.contact.key)
        if lead is None:
            return ContactResult(enrolled.contact, "skipped", "is not in the campaign")
        answer = yield repeat(Request("PATCH", f"/api/v2/leads/{lead}", body={"assigned_to": user}))
        if answer.verdict == "gone":
            return ContactResult(enrolled.contact, "gone", "the lead is gone")
        return ContactResult(enrolled.contact, "applied") if answer.ok else _refuse(enrolled.contact, answer)

    return summarize((yield from do_each(operation.enrolled, give)))


INSTANTLY: Final = Vendor(
    name="instantly",
    title="Instantly",
    base="https://api.instantly.ai",
    capabilities=frozenset({"enroll", "stop", "move"}),
    credentials=(("token",),),
    target=InstantlyTarget,
    options=InstantlyOptions,
    build=Instantly,
    owner_ids={"user": "the id of the member of the workspace, a UUID"},
    limits=(Limit(100, 10.0), Limit(600, 60.0)),
)
