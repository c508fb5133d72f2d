"""Outreach as a sink: prospects into a sequence from the owner's mailbox, and tasks. JSON:API, without a key of its own."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final

from pydantic import Field

from resegment.sinks.operation import Contact, Enrolled, Operation, OperationKind
from resegment.sinks.outreach.tasks import make_task
from resegment.sinks.outreach.wire import get, post, related, resource
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
from resegment.sinks.reading import DRY, choose_contacts, do_each, explain, is_since, judge_json, number, says

ENDED: Final = frozenset({"finished", "failed", "bounced", "opted_out", "disabled"})
"""The states of a sequence state in which nothing more is sent."""


class OutreachOptions(Options):
    """The options of an Outreach organization."""

    mailbox: int | None = Field(
        None, description="The id of the mailbox for owners without one in `owners` and for workflows"
    )
    user: int | None = Field(
        None, description="The id of the user who gets tasks of accounts without an owner"
    )
    key_field: str | None = Field(
        None,
        description="The custom field of prospects that gets the key of the enrollment, like custom42",
        pattern=r"^custom[0-9]{1,3}$",
    )
    create_prospects: bool = Field(
        True, description="Whether persons that Outreach does not know are created"
    )


class OutreachTarget(Part):
    """What a workflow maps to: a sequence."""

    sequence: int = Field(description="The id of the sequence")
    mailbox: int | None = Field(None, description="The id of the mailbox; default: that of the owner")


class Outreach:
    """One organization."""

    def __init__(self, options: OutreachOptions) -> None:
        self._options = options

    def carry_out(self, operation: Operation) -> Steps:
        if operation.kind == "enroll":
            return (yield from self._enroll(operation))
        if operation.kind in ("stop", "pause"):
            return (yield from self._halt(operation))
        if operation.kind == "reassign":
            return (yield from self._reassign(operation))
        if operation.kind in ("escalate", "task"):
            return (yield from make_task(operation, self._options.user))
        return Result("applied", "the prospects' sequences run to their end")

    def check(self) -> Steps:
        answer = yield look(get("/mailboxes", ("page[size]", "5"), ("count", "false")), expects="data")
        if not answer.ok:
            return Result("refused", explain(answer))
        found = ", ".join(str(Answer(200, one).get("attributes", "email")) for one in answer.rows("data"))
        return Result("applied", f"signed in; mailboxes: {found or 'none'}")

    def judge(self, answer: Answer) -> Verdict:
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        token = secrets.get("access_token") or secrets["token"]
        return request.with_headers(("Authorization", f"Bearer {token}"))

    def sign_in(self, secrets: Mapping[str, str]) -> Request | None:
        if "refresh_token" not in secrets:
            return None
        form = [("grant_type", "refresh_token")]
        form += [
            (name, secrets[name])
            for name in ("client_id", "client_secret", "redirect_uri", "refresh_token")
            if name in secrets
        ]
        return Request("POST", "/oauth/token", form=form)

    def _enroll(self, operation: Operation) -> Steps:
        contacts, left_out = choose_contacts(operation)
        done = yield from do_each(contacts, lambda one: self._enroll_one(one, operation))
        return summarize([*left_out, *done])

    def _enroll_one(self, contact: Contact, operation: Operation) -> Generator[Call, Answer, ContactResult]:
        prospect = yield from self._find_or_create(contact, operation)
        if isinstance(prospect, ContactResult):
            return prospect
        sequence = operation.target.sequence
        states = yield from _find_states(prospect, sequence)
        if isinstance(states, Answer):
            return ContactResult(contact, "refused", explain(states))
        references = {"prospect": str(prospect)}
        for state in states:
            here = str(state.get("attributes", "state")) not in ENDED
            if here or is_since(state.get("attributes", "createdAt"), operation.at):
                references["sequence_state"] = str(state.get("id"))
                return ContactResult(contact, "already", "is in the sequence", references)
        relations = {"prospect": ("prospect", prospect), "sequence": ("sequence", sequence)}
        mailbox = self._find_mailbox(operation)
        if mailbox is not None:
            relations["mailbox"] = ("mailbox", mailbox)
        body = resource("sequenceState", relationships=relations)
        answer = yield once(post("/sequenceStates", body), f"enroll {contact.key}", looked=True)
        if answer is WITHHELD:
            return ContactResult(contact, "applied", DRY)
        if answer.ok:
            references["sequence_state"] = str(answer.get("data", "id", default=""))
            return ContactResult(contact, "applied", "", references)
        return _refuse(contact, answer, references)

    def _find_mailbox(self, operation: Operation) -> int | None:
        owner = operation.owner
        own = None if owner is None else number(owner.ids.get("mailbox"))
        for one in (operation.target.mailbox, own, self._options.mailbox):
            if one is not None:
                return int(one)
        return None

    def _find_or_create(
        self, contact: Contact, operation: Operation
    ) -> Generator[Call, Answer, int | ContactResult]:
        """Return the id of the prospect, created if Outreach does not know the person."""
        known = number(contact.ids.get("outreach"))
        if known is not None:
            answer = yield look(get(f"/prospects/{known}"), expects="data")
            found = [Answer(200, one)] if answer.ok and isinstance(one := answer.get("data"), dict) else []
        else:
            answer = yield look(
                get("/prospects", ("filter[emails]", contact.key), ("page[size]", "10"), ("count", "false")),
                expects="data",
            )
            found = [Answer(200, one) for one in answer.rows("data")]
        if answer.verdict == "gone":
            return ContactResult(contact, "gone", f"the prospect {known} is gone")
        if not answer.ok:
            return ContactResult(contact, "refused", explain(answer))
        if found:
            return (yield from self._use(contact, found[0], operation))
        if not self._options.create_prospects:
            return ContactResult(contact, "skipped", "Outreach does not know the person")
        return (yield from self._create(contact, operation))

    def _use(
        self, contact: Contact, prospect: Answer, operation: Operation
    ) -> Generator[Call, Answer, int | ContactResult]:
        if prospect.get("attributes", "optedOut") is True:
            return ContactResult(contact, "skipped", "opted out in Outreach")
        if prospect.get("attributes", "emailOptedOut") is True:
            return ContactResult(contact, "skipped", "opted out of e-mail in Outreach")
        identity = number(prospect.get("id"))
        if identity is None:
            return ContactResult(contact, "refused", "Outreach returned a prospect without an id")
        field = self._options.key_field
        if field is not None and prospect.get("attributes", field) != operation.key:
            body = resource("prospect", identity, {field: operation.key})
            yield repeat(post(f"/prospects/{identity}", body, method="PATCH"))
        return identity

    def _create(self, contact: Contact, operation: Operation) -> Generator[Call, Answer, int | ContactResult]:
        attributes: dict[str, Any] = {
            "emails": [contact.email],
            "firstName": contact.first_name,
            "lastName": contact.last_name,
            "title": contact.title,
            "linkedInUrl": contact.linkedin,
            "websiteUrl1": f"https://{operation.account}",
            "tags": ["resegment", *([operation.segment] if operation.segment else [])],
        }
        if self._options.key_field is not None:
            attributes[self._options.key_field] = operation.key
        owner = None if operation.owner is None else number(operation.owner.ids.get("user"))
        relations = {} if owner is None else {"owner": ("user", owner)}
        body = resource(
            "prospect", None, {name: one for name, one in attributes.items() if one}, relationships=relations
        )
        answer = yield once(post("/prospects", body), f"prospect {contact.key}", looked=True)
        if answer is WITHHELD:
            return ContactResult(contact, "applied", f"{DRY}: Outreach does not know the person yet")
        identity = number(answer.get("data", "id"))
        if answer.ok and identity is not None:
            return identity
        return ContactResult(contact, "refused", f"the prospect was not created: {explain(answer)}")

    def _halt(self, operation: Operation) -> Steps:
        action = "finish" if operation.kind == "stop" else "pause"
        done = yield from do_each(operation.enrolled, lambda one: self._halt_one(one, operation, action))
        return summarize(done)

    def _halt_one(
        self, enrolled: Enrolled, operation: Operation, action: str
    ) -> Generator[Call, Answer, ContactResult]:
        contact = enrolled.contact
        prospect = yield from _find_prospect(enrolled)
        if isinstance(prospect, ContactResult):
            return prospect
        states = yield from _find_states(prospect, operation.target.sequence)
        if isinstance(states, Answer):
            return ContactResult(contact, "refused", explain(states))
        wanted = ENDED if action == "finish" else ENDED | {"paused"}
        running = [one for one in states if str(one.get("attributes", "state")) not in wanted]
        if not running:
            return ContactResult(contact, "already", "is not running in the sequence")
        for state in running:
            answer = yield repeat(post(f"/sequenceStates/{state.get('id')}/actions/{action}"))
            if answer.verdict == "gone":
                return ContactResult(contact, "gone", "the sequence state is gone")
            if not answer.ok and not says(answer, "already", "not active", "finished", "paused"):
                return ContactResult(contact, "refused", explain(answer))
        return ContactResult(contact, "applied")

    def _reassign(self, operation: Operation) -> Steps:
        owner = None if operation.owner is None else number(operation.owner.ids.get("user"))
        if owner is None:
            return Result("refused", "the new owner has no `user` for Outreach in sinks.yaml")
        done = yield from do_each(operation.enrolled, lambda one: _give(one, owner))
        return summarize(done, "the prospects have the new owner", instead=_INSTEAD["reassign"])


def _give(enrolled: Enrolled, owner: int) -> Generator[Call, Answer, ContactResult]:
    prospect = yield from _find_prospect(enrolled)
    if isinstance(prospect, ContactResult):
        return prospect
    body = resource("prospect", prospect, relationships={"owner": ("user", owner)})
    answer = yield repeat(post(f"/prospects/{prospect}", body, method="PATCH"))
    if answer.ok:
        return ContactResult(enrolled.contact, "applied")
    return ContactResult(enrolled.contact, "gone" if answer.verdict == "gone" else "refused", explain(answer))


def _refuse(contact: Contact, answer: Answer, references: Mapping[str, str]) -> ContactResult:
    """Return what a refused enrollment means for the contact."""
    why = explain(answer)
    if answer.verdict == "gone":
        return ContactResult(contact, "gone", f"the prospect, the sequence or the mailbox is gone: {why}")
    if answer.status == 422 and says(answer, "opted out", "opt out", "unsubscribed", "bounced"):
        return ContactResult(contact, "skipped", why)
    if answer.verdict == "conflict" or (
        answer.status == 422 and says(answer, "already", "has been taken", "active in")
    ):
        return ContactResult(contact, "already", why, references)
    return ContactResult(contact, "refused", why)


def _find_prospect(enrolled: Enrolled) -> Generator[Call, Answer, int | ContactResult]:
    known = number(enrolled.references.get("prospect") or enrolled.contact.ids.get("outreach"))
    if known is not None:
        return known
    answer = yield look(
        get("/prospects", ("filter[emails]", enrolled.contact.key), ("count", "false")), expects="data"
    )
    if not answer.ok:
        return ContactResult(enrolled.contact, "refused", explain(answer))
    found = number(answer.get("data", 0, "id"))
    return (
        ContactResult(enrolled.contact, "gone", "Outreach does not know the person")
        if found is None
        else found
    )


def _find_states(prospect: int, sequence: int) -> Generator[Call, Answer, list[Answer] | Answer]:
    """Return the prospect's states in a sequence, or the answer that refuses them."""
    answer = yield look(
        get(
            "/sequenceStates",
            ("filter[prospect][id]", str(prospect)),
            ("filter[sequence][id]", str(sequence)),
            ("page[size]", "50"),
            ("count", "false"),
        ),
        expects="data",
    )
    if not answer.ok:
        return answer
    return [
        one
        for one in (Answer(200, row) for row in answer.rows("data"))
        if related(one, "sequence") in (None, sequence) and related(one, "prospect") in (None, prospect)
    ]


_INSTEAD: Final[dict[OperationKind, str]] = {
    "reassign": "the prospects get the new owner; the sequence keeps the mailbox that it has"
}

OUTREACH: Final = Vendor(
    name="outreach",
    title="Outreach",
    base="https://api.outreach.io",
    capabilities=frozenset({"enroll", "stop", "pause", "task"}),
    credentials=(("client_id", "client_secret", "redirect_uri", "refresh_token"), ("token",)),
    target=OutreachTarget,
    options=OutreachOptions,
    build=Outreach,
    owner_ids={"user": "the id of the user", "mailbox": "the id of the mailbox that the sequences send from"},
    limits=(Limit(10_000, 3_600.0),),
    instead=_INSTEAD,
)
