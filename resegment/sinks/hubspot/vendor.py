"""HubSpot as a sink. It has no operation to un-enroll: a stop is a task for the owner and a removal from the list."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import Field, model_validator

from resegment.sinks.hubspot.companies import write_companies
from resegment.sinks.hubspot.lists import Problem, change_members, mark_contact
from resegment.sinks.hubspot.requests import (
    associate,
    batch,
    enrollments,
    equals,
    find_company,
    is_one_of,
    search,
    tell,
)
from resegment.sinks.hubspot.tasks import make_task
from resegment.sinks.operation import Contact, Operation, OperationKind
from resegment.sinks.port import (
    Answer,
    Call,
    ContactOutcome,
    ContactResult,
    Limit,
    Options,
    Part,
    RecordFields,
    Request,
    Result,
    Search,
    SearchRefused,
    Steps,
    Vendor,
    Verdict,
    Writing,
    look,
    once,
    repeat,
    summarize,
)
from resegment.sinks.reading import judge_json

NO_UNENROLL: Final = "HubSpot has no operation to un-enroll: a task asks the owner to do it by hand"
TOLERANCE: Final = 300.0
"""Seconds that HubSpot's clock may be behind: an enrollment of the same sequence since then is this one."""
_FOUND: Final = ("email", "hs_email_optout")
_PERSON: Final = ("email", "firstname", "lastname", "jobtitle", "phone", "hs_email_optout")


class HubSpotOptions(Options):
    """The options of a HubSpot account."""

    user: str | None = Field(None, description="The id of the user who enrolls where an owner has none")
    sender: str | None = Field(None, description="The connected address that sends where an owner has none")
    create_contacts: bool = Field(True, description="Create contacts that HubSpot does not have")
    company_key: str | None = Field(
        None,
        description="A property of companies with unique values that holds the account's domain: companies are created "
        "and updated by it. Without it, companies are found by their `domain`, and none is created",
    )


class HubSpotTarget(Part):
    """What a workflow means in HubSpot."""

    sequence: str | None = Field(None, pattern="^[0-9]+$", description="The id of a sequence")
    list: str | None = Field(None, pattern="^[0-9]+$", description="The id of a static list")
    task: bool = Field(False, description="Make a task for the owner with the brief")

    @model_validator(mode="after")
    def _some(self) -> HubSpotTarget:
        if self.sequence is None and self.list is None and not self.task:
            raise ValueError("set at least one of sequence, list and task")
        return self


class HubSpot:
    """One HubSpot account."""

    def __init__(self, options: HubSpotOptions) -> None:
        self._options = options

    def carry_out(self, operation: Operation) -> Steps:
        target = operation.target if isinstance(operation.target, HubSpotTarget) else HubSpotTarget(task=True)
        match operation.kind:
            case "enroll":
                return self._enroll(operation, target)
            case "stop":
                return self._stop(operation, target)
            case "finish":
                return _leave()
            case "pause":
                return _tell(operation, f"Pause the sequence of {operation.account} in HubSpot")
            case _:
                return _tell(operation, operation.brief.title)

    def check(self) -> Steps:
        answer = yield look(Request("GET", "/account-info/2026-03/details"))
        if not answer.ok:
            return Result("refused", tell(answer))
        return Result("applied", f"signed in to the HubSpot account {answer.get('portalId')}")

    def search(self, account: str) -> Search:
        company = yield from find_company(account)
        groups: list[Sequence[Mapping[str, Any]]] = [[equals("hs_email_domain", account)]]
        if company is not None:
            groups.append([equals("associations.company", company)])
        answer = yield look(search("contacts", groups, _PERSON), expects="results")
        if not answer.ok:
            raise SearchRefused(f"HubSpot does not show the contacts of {account}: {tell(answer)}")
        return tuple(_read_contact(one) for one in answer.rows("results"))

    def write_fields(self, records: Sequence[RecordFields]) -> Writing:
        return write_companies(records, self._options.company_key)

    def judge(self, answer: Answer) -> Verdict:
        if answer.status in {423, 477}:  # locked for some seconds; the account is being migrated
            return "retry"
        return judge_json(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        return request.with_headers(("Authorization", f"Bearer {secrets['token']}"))

    def sign_in(self, secrets: Mapping[str, str]) -> None:
        del secrets

    # Enroll

    def _enroll(self, operation: Operation, target: HubSpotTarget) -> Steps:
        owner = operation.owner
        user = (owner.ids.get("user") if owner else None) or self._options.user
        sender = (owner.ids.get("sender") or owner.email if owner else None) or self._options.sender
        if target.sequence is not None and (user is None or sender is None):
            name = "the account" if owner is None else owner.name
            return Result(
                "refused", f"{name} has no HubSpot `user` and `sender` in sinks.yaml: a sequence needs both"
            )
        ids, results = yield from self._find_contacts(operation.account, operation.contacts)
        for contact in operation.contacts:
            number = ids.get(contact.key)
            if number is None:
                continue
            if target.sequence is None:
                results.append(ContactResult(contact, "applied", references={"contact": number}))
            else:
                body = {"contactId": number, "senderEmail": str(sender), "sequenceId": target.sequence}
                if owner is not None and (alias := owner.ids.get("alias")):
                    body["senderAliasAddress"] = alias
                results.append((yield from _enroll_contact(operation, contact, str(user), body)))
        inside = [one.references["contact"] for one in results if one.outcome in {"applied", "already"}]
        notes: list[str] = []
        failed = False
        if target.list is not None and inside:
            problem, missing = yield from change_members(target.list, inside, [])
            failed = problem is not None
            if problem is not None:
                notes.append(problem.why)
            if problem is not None and target.sequence is None:
                results = [mark_contact(one, problem, missing) for one in results]
        if target.task:
            made = yield from make_task(operation, operation.brief.title, "task", inside)
            notes.append(made.text)
            if made.outcome not in {"applied", "skipped"} or not results:
                return Result(made.outcome, "; ".join(notes), tuple(results))
        total = summarize(results, "; ".join(notes))
        return (
            replace(total, outcome="partial") if failed and total.outcome in {"applied", "skipped"} else total
        )

    def _find_contacts(
        self, account: str, contacts: Sequence[Contact]
    ) -> Generator[Call, Answer, tuple[dict[str, str], list[ContactResult]]]:
        """Return HubSpot's ids of the contacts, and the results of those that it does not have."""
        ids = {one.key: one.ids["hubspot"] for one in contacts if "hubspot" in one.ids}
        by_mail = [one for one in contacts if one.key not in ids and one.email]
        results: list[ContactResult] = [
            ContactResult(one, "skipped", "it has neither an e-mail address nor a HubSpot id")
            for one in contacts
            if one.key not in ids and not one.email
        ]
        out: set[str] = set()
        if by_mail:
            answer = yield look(
                search("contacts", [[is_one_of("email", [one.key for one in by_mail])]], [*_FOUND]),
                expects="results",
            )
            if not answer.ok:
                why = f"HubSpot does not show contacts: {tell(answer)}"
                return ids, [*results, *(ContactResult(one, "refused", why) for one in by_mail)]
            out = _find_opted_out(answer)
            ids |= {mail: number for mail, number in _ids_by_mail(answer).items() if mail not in out}
            results += [
                ContactResult(one, "skipped", "opted out in HubSpot") for one in by_mail if one.key in out
            ]
        missing = [one for one in by_mail if one.key not in ids and one.key not in out]
        outcome: ContactOutcome = "gone"
        if missing and self._options.create_contacts:
            answer = yield repeat(batch("contacts", "upsert", [_input(one) for one in missing]))
            made = _ids_by_mail(answer)
            ids |= made
            if made and (company := (yield from find_company(account))) is not None:
                for number in made.values():
                    yield repeat(associate("contacts", number, "companies", company))
            outcome, why = "refused", f"HubSpot did not create the contact: {tell(answer)}"
        else:
            why = "HubSpot has no such contact"
        results += [ContactResult(one, outcome, why) for one in missing if one.key not in ids]
        return ids, results

    # Stop

    def _stop(self, operation: Operation, target: HubSpotTarget) -> Steps:
        contacts = [one.contact for one in operation.enrolled]
        ids = {
            one.contact.key: number
            for one in operation.enrolled
            if (number := one.references.get("contact") or one.contact.ids.get("hubspot"))
        }
        unknown = [one for one in contacts if one.key not in ids]
        if unknown:
            answer = yield look(
                search("contacts", [[is_one_of("email", [one.key for one in unknown])]], ["email"]),
                expects="results",
            )
            ids |= _ids_by_mail(answer)
        results = [
            ContactResult(one, "gone", "HubSpot has no such contact")
            for one in contacts
            if one.key not in ids
        ]
        notes: list[str] = []
        problem: Problem | None = None
        if target.list is not None and ids:
            problem, _ = yield from change_members(target.list, [], list(ids.values()))
            notes.append("taken out of the list" if problem is None else problem.why)
        running: list[Contact] = []
        for contact in contacts:
            number = ids.get(contact.key)
            if number is None:
                continue
            if target.sequence is not None and (yield from _is_in(number, target.sequence)):
                running.append(contact)
            elif problem is not None and problem.outcome == "refused":
                results.append(ContactResult(contact, "refused", problem.why))
            else:
                results.append(ContactResult(contact, "applied"))
        if not running:
            return summarize(results, "; ".join(notes))
        names = ", ".join(one.name for one in running[:5])
        title = f"Un-enroll {names} of {operation.account} from the sequence {target.sequence}"
        made = yield from make_task(operation, title, "unenroll", [ids[one.key] for one in running])
        done = made.outcome == "applied"
        results += [
            ContactResult(
                one,
                "applied" if done else made.outcome if made.outcome != "partial" else "unknown",
                made.text,
            )
            for one in running
        ]
        return summarize(results, "; ".join([*notes, NO_UNENROLL]), instead=NO_UNENROLL)


def _leave() -> Steps:
    yield from ()
    return Result("applied", "what is enrolled runs to its end")


def _tell(operation: Operation, title: str) -> Steps:
    return (yield from make_task(operation, title, "task"))


def _enroll_contact(
    operation: Operation, contact: Contact, user: str, body: dict[str, str]
) -> Generator[Call, Answer, ContactResult]:
    number, sequence = body["contactId"], body["sequenceId"]
    references = {"contact": number}
    there = yield look(Request("GET", enrollments("contact", number)), may_be_empty=True)
    if there.ok and str(there.get("sequenceId", default="")) == sequence and _is_since(there, operation.at):
        references["enrollment"] = str(there.get("id", default=""))
        return ContactResult(contact, "applied", "found enrolled", references)
    request = Request("POST", enrollments(), query=(("userId", user),), body=body)
    answer = yield once(request, f"enroll:{number}", looked=there.ok or there.verdict == "gone")
    if answer.ok:
        references["enrollment"] = str(answer.get("id", default=""))
        return ContactResult(contact, "applied", references=references)
    if answer.verdict == "lost":
        return ContactResult(
            contact, "unknown", "no answer, and the enrollment can't be looked up", references
        )
    if answer.verdict == "conflict":
        return ContactResult(contact, "already", tell(answer), references)
    return ContactResult(contact, "gone" if answer.verdict == "gone" else "refused", tell(answer), references)


def _is_in(number: str, sequence: str) -> Generator[Call, Answer, bool]:
    """Return whether a contact is in a sequence, as far as HubSpot shows it: if it does not, the owner has to look."""
    answer = yield look(Request("GET", enrollments("contact", number)), may_be_empty=True)
    if not answer.ok:
        return answer.verdict != "gone"
    return str(answer.get("sequenceId", default="")) == sequence


def _is_since(answer: Answer, at: str) -> bool:
    try:
        enrolled = datetime.fromisoformat(str(answer.get("enrolledAt", default="")))
        return (enrolled - datetime.fromisoformat(at)).total_seconds() >= -TOLERANCE
    except (ValueError, TypeError):
        return True  # rather not enrolled twice


def _ids_by_mail(answer: Answer) -> dict[str, str]:
    found = {}
    for one in answer.rows("results") if answer.ok else []:
        email = Answer(200, one).get("properties", "email")
        if isinstance(email, str) and one.get("id"):
            found[email.strip().lower()] = str(one["id"])
    return found


def _find_opted_out(answer: Answer) -> set[str]:
    """Return the addresses of persons who want no e-mail."""
    found = [_read_contact(one) for one in answer.rows("results")]
    return {one.key for one in found if one.opted_out}


def _input(contact: Contact) -> dict[str, Any]:
    given = {
        "email": contact.key,
        "firstname": contact.first_name,
        "lastname": contact.last_name,
        "jobtitle": contact.title,
        "phone": contact.phone,
    }
    return {
        "id": contact.key,
        "idProperty": "email",
        "properties": {name: value for name, value in given.items() if value},
    }


def _read_contact(row: Mapping[str, Any]) -> Contact:
    given = Answer(200, row)

    def text(name: str) -> str | None:
        value = given.get("properties", name)
        return value.strip() or None if isinstance(value, str) else None

    return Contact(
        email=text("email"),
        first_name=text("firstname"),
        last_name=text("lastname"),
        title=text("jobtitle"),
        phone=text("phone"),
        ids={"hubspot": str(row["id"])} if row.get("id") else {},
        opted_out=(text("hs_email_optout") or "").lower() == "true",
    )


_INSTEAD: Final[dict[OperationKind, str]] = {
    "stop": "a task that asks the owner to un-enroll the contacts by hand, and a removal from the list: "
    "HubSpot's API has no operation to un-enroll",
    "pause": "a task that asks the owner to pause it by hand",
    "reassign": "a task for the new owner with the brief; the sequence keeps its sender",
}

HUBSPOT: Final = Vendor(
    name="hubspot",
    title="HubSpot",
    base="https://api.hubapi.com",
    capabilities=frozenset({"enroll", "task", "property"}),
    credentials=(("token",),),
    target=HubSpotTarget,
    options=HubSpotOptions,
    build=HubSpot,
    owner_ids={
        "user": "the id of the user who enrolls (`userId`)",
        "owner": "the id of the owner, for tasks and fields (`hubspot_owner_id`)",
        "sender": "the connected address that sends; default: the owner's e-mail address",
        "alias": "an alias of that address to send from",
    },
    limits=(Limit(100, 10.0), Limit(5, 1.0, paths="/search$")),
    instead=_INSTEAD,
    settle=10.0,
    searches=True,
)
