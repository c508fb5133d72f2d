"""Apollo as a sink: saved contacts into a sequence from a mailbox, out of it again, and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from resegment.sinks.apollo.answers import read_added
from resegment.sinks.apollo.contacts import find_enrolled, find_or_create, find_user
from resegment.sinks.apollo.tasks import make_task
from resegment.sinks.operation import Contact, Operation, OperationKind
from resegment.sinks.port import (
    WITHHELD,
    Answer,
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
from resegment.sinks.reading import DRY, choose_contacts, choose_owner_id, explain, is_since, judge_json, says


class ApolloOptions(Options):
    """The options of an Apollo team."""

    mailbox: str | None = Field(
        None, description="The id of the e-mail account for owners without one in `owners` and for workflows"
    )
    user: str | None = Field(
        None, description="The id of the user who gets tasks of accounts without an owner"
    )
    key_field: str | None = Field(
        None,
        description="The id of the custom field of contacts that gets the key of the enrollment",
        min_length=1,
    )
    create_contacts: bool = Field(True, description="Whether persons who are no contacts in Apollo are saved")
    same_company: bool = Field(
        True,
        description="Whether several contacts of one company are put into the sequence; Apollo's default is one",
    )
    active_elsewhere: bool = Field(
        False, description="Whether contacts who are in another sequence are put into this one too"
    )
    finished_elsewhere: bool = Field(
        True, description="Whether contacts who finished another sequence are put into this one"
    )
    unverified: bool = Field(
        False, description="Whether contacts with an unverified e-mail address are put into the sequence"
    )


class ApolloTarget(Part):
    """What a workflow maps to: a sequence."""

    sequence: str = Field(description="The id of the sequence", min_length=1)
    mailbox: str | None = Field(
        None, description="The id of the e-mail account that sends; default: that of the owner"
    )


class Apollo:
    """One team."""

    def __init__(self, options: ApolloOptions) -> None:
        self._options = options

    def carry_out(self, operation: Operation) -> Steps:
        if operation.kind == "enroll":
            return (yield from self._enroll(operation))
        if operation.kind == "stop":
            return (yield from self._change(operation))
        if operation.kind == "reassign":
            return (yield from self._change(operation))
        if operation.kind in ("escalate", "task"):
            return (yield from make_task(operation, self._options.user))
        return Result("applied", "the contacts' sequences run to their end")

    def check(self) -> Steps:
        answer = yield look(Request("GET", "/api/v1/email_accounts"))
        if not answer.ok:
            return Result("refused", explain(answer))
        found = ", ".join(f"{one.get('email')} ({one.get('id')})" for one in answer.rows("email_accounts"))
        return Result("applied", f"signed in; e-mail accounts: {found or 'none'}")

    def judge(self, answer: Answer) -> Verdict:
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        more = (("Accept", "application/json"), ("Cache-Control", "no-cache"))
        return request.with_headers(("x-api-key", secrets["token"]), *more)

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets

    def _enroll(self, operation: Operation) -> Steps:
        sequence = operation.target.sequence
        mailbox = operation.target.mailbox or choose_owner_id(operation, "mailbox", self._options.mailbox)
        if mailbox is None:
            return Result(
                "refused", "nobody to send from: neither the workflow, the owner nor the sink has a `mailbox`"
            )
        contacts, results = choose_contacts(operation)
        waiting: dict[str, Contact] = {}
        for contact in contacts:
            found = yield from find_or_create(
                contact, operation, self._options.key_field, create=self._options.create_contacts
            )
            if isinstance(found, ContactResult):
                results.append(found)
                continue
            identity = str(found.get("id"))
            if _is_in(found, sequence, operation.at):
                results.append(ContactResult(contact, "already", "is in the sequence", {"contact": identity}))
            else:
                waiting[identity] = contact
        if waiting:
            request = self._write(operation, list(waiting), mailbox)
            answer = yield once(request, "enroll", looked=True)
            results += [_read(contact, identity, answer) for identity, contact in waiting.items()]
        return summarize(results)

    def _write(self, operation: Operation, contacts: list[str], mailbox: str) -> Request:
        """Return the request that puts contacts into the sequence: Apollo wants its parameters in the query."""
        sequence = operation.target.sequence
        query = [
            ("emailer_campaign_id", sequence),
            *(("contact_ids[]", one) for one in contacts),
            ("send_email_from_email_account_id", mailbox),
            ("sequence_same_company_in_same_campaign", _flag(value=self._options.same_company)),
            ("sequence_active_in_other_campaigns", _flag(value=self._options.active_elsewhere)),
            ("sequence_finished_in_other_campaigns", _flag(value=self._options.finished_elsewhere)),
            ("sequence_unverified_email", _flag(value=self._options.unverified)),
        ]
        user = find_user(operation, self._options.user)
        if user is not None:
            query.append(("user_id", user))
        return Request("POST", f"/api/v1/emailer_campaigns/{sequence}/add_contact_ids", query=query)

    def _change(self, operation: Operation) -> Steps:
        """Stop the contacts in the sequence, or give them to another owner: one request for all of them."""
        user = find_user(operation)
        if operation.kind == "reassign" and user is None:
            return Result("refused", "the new owner has no `user` for Apollo in sinks.yaml")
        results: list[ContactResult] = []
        contacts: dict[str, Contact] = {}
        for enrolled in operation.enrolled:
            found = yield from find_enrolled(enrolled)
            if isinstance(found, ContactResult):
                results.append(found)
            else:
                contacts[found] = enrolled.contact
        if contacts:
            answer = yield repeat(_write_change(operation, list(contacts), user))
            for contact in contacts.values():
                if answer.ok or says(answer, "not in the sequence", "already"):
                    results.append(ContactResult(contact, "applied"))
                else:
                    gone = answer.verdict == "gone"
                    results.append(ContactResult(contact, "gone" if gone else "refused", explain(answer)))
        return summarize(results, instead=_INSTEAD.get(operation.kind))


def _write_change(operation: Operation, contacts: list[str], user: str | None) -> Request:
    ids = [("contact_ids[]", one) for one in contacts]
    if operation.kind == "reassign":
        return Request("POST", "/api/v1/contacts/update_owners", query=[*ids, ("owner_id", user or "")])
    query = [("emailer_campaign_ids[]", operation.target.sequence), *ids, ("mode", "stop")]
    return Request("POST", "/api/v1/emailer_campaigns/remove_or_stop_contact_ids", query=query)


def _read(contact: Contact, identity: str, answer: Answer) -> ContactResult:
    if answer is WITHHELD:
        return ContactResult(contact, "applied", DRY)
    if answer.ok:
        return read_added(contact, identity, answer, {"contact": identity})
    why = explain(answer)
    if answer.verdict == "gone":
        return ContactResult(contact, "gone", f"the sequence or the contact is gone: {why}")
    if answer.status == 403:
        return ContactResult(contact, "refused", f"Apollo wants a master API key, or another plan: {why}")
    return ContactResult(contact, "refused", why)


def _is_in(found: Answer, sequence: str, at: str) -> bool:
    """Whether the contact runs in the sequence, or was put there since the change."""
    return any(
        one.get("emailer_campaign_id") == sequence
        and (one.get("status") == "active" or is_since(one.get("added_at"), at))
        for one in found.rows("contact_campaign_statuses")
    )


def _flag(*, value: bool) -> str:
    return "true" if value else "false"


_INSTEAD: Final[dict[OperationKind, str]] = {
    "reassign": "the contacts get the new owner; the sequence keeps the e-mail account that it has"
}

APOLLO: Final = Vendor(
    name="apollo",
    title="Apollo",
    base="https://api.apollo.io",
    capabilities=frozenset({"enroll", "stop", "task"}),
    credentials=(("token",),),
    target=ApolloTarget,
    options=ApolloOptions,
    build=Apollo,
    owner_ids={
        "user": "the id of the user",
        "mailbox": "the id of the e-mail account that the sequences send from",
    },
    limits=(Limit(200, 60.0), Limit(400, 3_600.0)),
    instead=_INSTEAD,
    settle=30.0,
)
