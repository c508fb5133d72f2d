"""Salesloft as a sink: people into a cadence for the owner, out of it again, and tasks."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final

from pydantic import Field

from resegment.sinks.operation import Contact, Enrolled, Operation, OperationKind
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
    is_since,
    judge_json,
    number,
    says,
)
from resegment.sinks.salesloft.tasks import make_task


class SalesloftOptions(Options):
    """The options of a Salesloft team."""

    user: int | None = Field(
        None, description="The id of the user for accounts without an owner, or owners without a `user`"
    )
    key_field: str | None = Field(
        None,
        description="The name of the custom field of people that gets the key of the enrollment",
        min_length=1,
    )
    create_people: bool = Field(True, description="Whether persons that Salesloft does not know are created")


class SalesloftTarget(Part):
    """What a workflow maps to: a cadence."""

    cadence: int = Field(description="The id of the cadence")
    step: int | None = Field(None, description="The id of the step to begin with; default: the first")
    user: int | None = Field(
        None, description="The id of the user who runs the cadence; default: that of the owner"
    )


class Salesloft:
    """One team."""

    def __init__(self, options: SalesloftOptions) -> None:
        self._options = options

    def carry_out(self, operation: Operation) -> Steps:
        if operation.kind == "enroll":
            return (yield from self._enroll(operation))
        if operation.kind == "stop":
            done = yield from do_each(operation.enrolled, lambda one: _stop(one, operation))
            return summarize(done)
        if operation.kind == "reassign":
            return (yield from self._reassign(operation))
        if operation.kind in ("escalate", "task"):
            return (yield from make_task(operation, self._options.user))
        return Result("applied", "the people's cadences run to their end")

    def check(self) -> Steps:
        answer = yield look(Request("GET", "/v2/me"), expects="data")
        if not answer.ok:
            return Result("refused", explain(answer))
        name = answer.get("data", "email", default=answer.get("data", "name", default="somebody"))
        return Result("applied", f"signed in as {name}")

    def judge(self, answer: Answer) -> Verdict:
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        return request.with_headers(
            ("Authorization", f"Bearer {secrets['token']}"), ("Accept", "application/json")
        )

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets

    def _enroll(self, operation: Operation) -> Steps:
        contacts, left_out = choose_contacts(operation)
        done = yield from do_each(contacts, lambda one: self._enroll_one(one, operation))
        return summarize([*left_out, *done])

    def _enroll_one(self, contact: Contact, operation: Operation) -> Generator[Call, Answer, ContactResult]:
        person = yield from self._find_or_create(contact, operation)
        if isinstance(person, ContactResult):
            return person
        target = operation.target
        memberships = yield from _find_memberships(person, target.cadence)
        if isinstance(memberships, Answer):
            return ContactResult(contact, "refused", explain(memberships))
        references = {"person": str(person)}
        for one in memberships:
            if one.get("currently_on_cadence") is True or is_since(one.get("added_at"), operation.at):
                references["membership"] = str(one.get("id"))
                return ContactResult(contact, "already", "is in the cadence", references)
        query = [("person_id", str(person)), ("cadence_id", str(target.cadence))]
        user = target.user or choose_owner_id(operation, "user", self._options.user)
        if user is not None:
            query.append(("user_id", str(user)))
        if target.step is not None:
            query.append(("step_id", str(target.step)))
        request = Request("POST", "/v2/cadence_memberships", query=query)
        answer = yield once(request, f"enroll {contact.key}", looked=True)
        if answer is WITHHELD:
            return ContactResult(contact, "applied", DRY)
        if answer.ok:
            references["membership"] = str(answer.get("data", "id", default=""))
            return ContactResult(contact, "applied", "", references)
        return _refuse(contact, answer, references)

    def _find_or_create(
        self, contact: Contact, operation: Operation
    ) -> Generator[Call, Answer, int | ContactResult]:
        """Return the id of the person, created if Salesloft does not know them."""
        known = number(contact.ids.get("salesloft"))
        found = yield from _find_person(contact, known)
        if found.verdict == "gone":
            return ContactResult(contact, "gone", f"the person {known} is gone")
        if not found.ok:
            return ContactResult(contact, "refused", explain(found))
        identity = number(found.get("id"))
        if identity is not None:
            if found.get("do_not_contact") is True:
                return ContactResult(contact, "skipped", "do not contact, says Salesloft")
            restricted = found.get("contact_restrictions")
            if isinstance(restricted, list) and "email" in restricted:
                return ContactResult(contact, "skipped", "no e-mail, says Salesloft")
            field = self._options.key_field
            if field is not None and found.get("custom_fields", field) != operation.key:
                body = {"custom_fields": {field: operation.key}}
                yield repeat(Request("PUT", f"/v2/people/{identity}", body=body))
            return identity
        if not self._options.create_people:
            return ContactResult(contact, "skipped", "Salesloft does not know the person")
        answer = yield repeat(Request("POST", "/v2/person_upserts", body=self._write(contact, operation)))
        if answer is WITHHELD:
            return ContactResult(contact, "applied", f"{DRY}: Salesloft does not know the person yet")
        identity = number(answer.get("data", "id"))
        if answer.ok and answer.get("data", "do_not_contact") is True:
            return ContactResult(contact, "skipped", "do not contact, says Salesloft")
        if answer.ok and identity is not None:
            return identity
        return ContactResult(contact, "refused", f"the person was not created: {explain(answer)}")

    def _write(self, contact: Contact, operation: Operation) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "upsert_key": "email_address",
            "email_address": contact.email,
            "first_name": contact.first_name,
            "last_name": contact.last_name,
            "title": contact.title,
            "phone": contact.phone,
            "linkedin_url": contact.linkedin,
            "person_company_website": operation.account,
            "owner_id": number(choose_owner_id(operation, "user", self._options.user)),
        }
        if self._options.key_field is not None:
            fields["custom_fields"] = {self._options.key_field: operation.key}
        return {name: one for name, one in fields.items() if one is not None}

    def _reassign(self, operation: Operation) -> Steps:
        owner = number(choose_owner_id(operation, "user"))
        if owner is None:
            return Result("refused", "the new owner has no `user` for Salesloft in sinks.yaml")
        done = yield from do_each(operation.enrolled, lambda one: _give(one, owner))
        return summarize(done, "the people have the new owner", instead=_INSTEAD["reassign"])


def _refuse(contact: Contact, answer: Answer, references: Mapping[str, str]) -> ContactResult:
    """Return what a refused enrollment means for the contact."""
    why = explain(answer)
    if answer.verdict == "gone":
        return ContactResult(contact, "gone", f"the person, the cadence or the user is gone: {why}")
    if answer.verdict == "conflict" or (answer.status == 422 and says(answer, "already")):
        return ContactResult(contact, "already", why, references)
    if answer.status == 422 and says(answer, "do not contact", "do_not_contact", "opted out", "bounc"):
        return ContactResult(contact, "skipped", why)
    return ContactResult(contact, "refused", why)


def _find_person(contact: Contact, known: int | None) -> Generator[Call, Answer, Answer]:
    """Return the person as an answer whose body is empty if Salesloft does not know them, or the answer that refuses."""
    if known is not None:
        answer = yield look(Request("GET", f"/v2/people/{known}"), expects="data")
        return Answer(answer.status, answer.get("data", default={})) if answer.ok else answer
    query = [("email_addresses[]", contact.key), ("per_page", "25")]
    answer = yield look(Request("GET", "/v2/people", query=query), expects="data")
    if not answer.ok:
        return answer
    return Answer(200, next((one for one in answer.rows("data") if contact.key in _list_addresses(one)), {}))


def _list_addresses(person: Mapping[str, Any]) -> set[str]:
    names = ("email_address", "secondary_email_address", "personal_email_address")
    return {one.strip().lower() for name in names if isinstance(one := person.get(name), str)}


def _find_enrolled(enrolled: Enrolled) -> Generator[Call, Answer, int | ContactResult]:
    known = number(enrolled.references.get("person") or enrolled.contact.ids.get("salesloft"))
    if known is not None:
        return known
    found = yield from _find_person(enrolled.contact, None)
    if not found.ok:
        return ContactResult(enrolled.contact, "refused", explain(found))
    identity = number(found.get("id"))
    if identity is None:
        return ContactResult(enrolled.contact, "gone", "Salesloft does not know the person")
    return identity


def _find_memberships(person: int, cadence: int) -> Generator[Call, Answer, list[Answer] | Answer]:
    """Return what puts the person into the cadence, now or earlier; or the answer that refuses."""
    query = [("person_id", str(person)), ("cadence_id", str(cadence)), ("per_page", "100")]
    answer = yield look(Request("GET", "/v2/cadence_memberships", query=query), expects="data")
    if not answer.ok:
        return answer
    return [
        one
        for one in (Answer(200, row) for row in answer.rows("data"))
        if number(one.get("cadence", "id")) in (None, cadence)
        and number(one.get("person", "id")) in (None, person)
    ]


def _stop(enrolled: Enrolled, operation: Operation) -> Generator[Call, Answer, ContactResult]:
    """Take a person out of the cadence."""
    contact = enrolled.contact
    person = yield from _find_enrolled(enrolled)
    if isinstance(person, ContactResult):
        return person
    memberships = yield from _find_memberships(person, operation.target.cadence)
    if isinstance(memberships, Answer):
        gone = memberships.verdict == "gone"
        return ContactResult(contact, "gone" if gone else "refused", explain(memberships))
    running = [one for one in memberships if one.get("currently_on_cadence") is not False]
    if not running:
        return ContactResult(contact, "already", "is not in the cadence")
    for one in running:
        answer = yield repeat(Request("DELETE", f"/v2/cadence_memberships/{one.get('id')}"))
        if not answer.ok and answer.verdict != "gone":
            return ContactResult(contact, "refused", explain(answer))
    return ContactResult(contact, "applied")


def _give(enrolled: Enrolled, owner: int) -> Generator[Call, Answer, ContactResult]:
    person = yield from _find_enrolled(enrolled)
    if isinstance(person, ContactResult):
        return person
    answer = yield repeat(Request("PUT", f"/v2/people/{person}", body={"owner_id": owner}))
    if answer.ok:
        return ContactResult(enrolled.contact, "applied")
    return ContactResult(enrolled.contact, "gone" if answer.verdict == "gone" else "refused", explain(answer))


_INSTEAD: Final[dict[OperationKind, str]] = {
    "reassign": "the people get the new owner; the cadence keeps the user that it has"
}

SALESLOFT: Final = Vendor(
    name="salesloft",
    title="Salesloft",
    base="https://api.salesloft.com",
    capabilities=frozenset({"enroll", "stop", "task"}),
    credentials=(("token",),),
    target=SalesloftTarget,
    options=SalesloftOptions,
    build=Salesloft,
    owner_ids={"user": "the id of the user"},
    limits=(Limit(600, 60.0),),
    instead=_INSTEAD,
)
