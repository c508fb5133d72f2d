"""Salesforce as a sink: contacts and leads in cadences, tasks for owners, fields of accounts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import Field, model_validator

from resegment.sinks.operation import Contact, Enrolled, Operation
from resegment.sinks.port import (
    Answer,
    Call,
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
    judge_status,
    look,
    once,
    repeat,
    summarize,
)
from resegment.sinks.reading import judge_json
from resegment.sinks.salesforce.accounts import write_accounts
from resegment.sinks.salesforce.answers import is_since, judge_code, read_action, read_contact
from resegment.sinks.salesforce.requests import (
    Api,
    code_of,
    quote,
    quote_like,
    tell,
)

ACTIVE: Final = ("Initializing", "Running", "Paused", "Processing")
"""The states of a tracker whose target is in the cadence."""
_KINDS: Final = (("Contact", ""), ("Lead", " AND IsConverted = false"))
_ID: Final = "^[a-zA-Z0-9]{15}([a-zA-Z0-9]{3})?$"
_NAME: Final = "^[A-Za-z][A-Za-z0-9_]{0,79}$"


class SalesforceOptions(Options):
    """The options of a Salesforce org."""

    version: str = Field("64.0", pattern=r"^[0-9]{2,3}\.0$", description="The version of the API")
    account_key: str | None = Field(
        None,
        pattern=_NAME,
        description="A field of accounts that holds the domain; default: `Website` is compared",
    )
    task_key: str | None = Field(
        None,
        pattern=_NAME,
        description="A text field of tasks that is an external id: with it, a task is made once by Salesforce itself",
    )


class SalesforceTarget(Part):
    """What a workflow means in Salesforce."""

    cadence: str | None = Field(None, pattern=_ID, description="The id of a cadence")
    task: bool = Field(False, description="Make a task for the owner with the brief")

    @model_validator(mode="after")
    def _some(self) -> SalesforceTarget:
        if self.cadence is None and not self.task:
            raise ValueError("set at least one of cadence and task")
        return self


class Salesforce:
    """One org."""

    def __init__(self, options: SalesforceOptions) -> None:
        self._options, self._api = options, Api(options.version)

    def carry_out(self, operation: Operation) -> Steps:
        target = (
            operation.target
            if isinstance(operation.target, SalesforceTarget)
            else SalesforceTarget(task=True)
        )
        match operation.kind:
            case "enroll":
                return self._enroll(operation, target)
            case "stop":
                return self._each(operation, target, self._remove)
            case "pause":
                return self._each(operation, target, self._pause)
            case "reassign":
                return self._each(operation, target, self._reassign)
            case "finish":
                return _leave()
            case _:
                return self._make_task(operation)

    def check(self) -> Steps:
        answer = yield look(Request("GET", f"{self._api.base}/limits"))
        if not answer.ok:
            return Result("refused", tell(answer))
        daily = (answer.get("DailyApiRequests", "Remaining"), answer.get("DailyApiRequests", "Max"))
        return Result("applied", f"signed in; {daily[0]} of {daily[1]} requests are left today")

    def search(self, account: str) -> Search:
        number = yield from self._api.find_account(account, self._options.account_key)
        tests = [f"Email LIKE '%@{quote_like(account)}'"]
        if number is not None:
            tests.insert(0, f"AccountId = {quote(number)}")
        fields = "Id, Email, FirstName, LastName, Title, Phone, HasOptedOutOfEmail"
        answer = yield look(
            self._api.query(
                f"SELECT {fields} FROM Contact WHERE {' OR '.join(tests)} ORDER BY CreatedDate LIMIT 200"
            ),
            expects="records",
        )
        if not answer.ok:
            raise SearchRefused(f"Salesforce does not show the contacts of {account}: {tell(answer)}")
        return tuple(read_contact(one) for one in answer.rows("records"))

    def write_fields(self, records: Sequence[RecordFields]) -> Writing:
        return write_accounts(self._api, records, self._options.account_key)

    def judge(self, answer: Answer) -> Verdict:
        code = code_of(answer)
        if 200 <= answer.status < 300:
            # an action answers 200 or 400 with one result for each input
            if answer.get(0, "isSuccess") is False:
                return judge_code(code)
            return judge_json(answer)
        if 400 <= answer.status < 500 and answer.status != 401 and code:
            return judge_code(code)
        return judge_status(answer)

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        token = secrets.get("access_token") or secrets.get("token", "")
        return request.with_headers(("Authorization", f"Bearer {token}"))

    def sign_in(self, secrets: Mapping[str, str]) -> Request | None:
        if "token" in secrets:
            return None
        form = [
            ("client_id", secrets.get("client_id", "")),
            ("client_secret", secrets.get("client_secret", "")),
        ]
        if "refresh_token" in secrets:
            form += [("grant_type", "refresh_token"), ("refresh_token", secrets["refresh_token"])]
        else:
            form.append(("grant_type", "client_credentials"))
        return Request("POST", "/services/oauth2/token", form=tuple(form))

    # Cadences

    def _enroll(self, operation: Operation, target: SalesforceTarget) -> Steps:
        results: list[ContactResult] = []
        user = None if operation.owner is None else operation.owner.ids.get("user")
        for contact in operation.contacts if target.cadence is not None else ():
            result = yield from self._assign(operation, contact, str(target.cadence), user)
            results.append(result)
        if not target.task:
            return summarize(results)
        made = yield from self._make_task(operation)
        if not results or made.outcome in {"refused", "gone", "unknown"}:
            return replace(made, contacts=tuple(results))
        return summarize(results, made.text)

    def _assign(
        self, operation: Operation, contact: Contact, cadence: str, user: str | None
    ) -> Generator[Call, Answer, ContactResult]:
        number = yield from self._find_target(contact, enroll=True)
        if isinstance(number, ContactResult):
            return number
        references = {"target": number}
        found = yield from self._find_tracker(number, cadence)
        if isinstance(found, Answer):
            return ContactResult(contact, "refused", f"Salesforce does not show the cadence: {tell(found)}")
        tracker, since = found
        if tracker is not None:
            references["tracker"] = tracker
            outcome: Any = "applied" if is_since(since, operation.at) else "already"
            return ContactResult(contact, outcome, "found in the cadence", references)
        given = {"salesCadenceNameOrId": cadence, "targetId": number, **({"userId": user} if user else {})}
        answer = yield once(
            self._api.action("assignTargetToSalesCadence", **given), f"assign:{number}", looked=True
        )
        return read_action(contact, answer, references)

    def _find_target(
        self, contact: Contact, *, enroll: bool = False
    ) -> Generator[Call, Answer, str | ContactResult]:
        """Return the id of the contact or lead, or what became of a person who has none, or is not to be enrolled."""
        if "salesforce" in contact.ids:
            return contact.ids["salesforce"]
        for kind, more in _KINDS if contact.email else ():
            soql = (
                f"SELECT Id, HasOptedOutOfEmail FROM {kind} WHERE Email = {quote(contact.key)}{more} "
                "ORDER BY CreatedDate LIMIT 1"
            )
            answer = yield look(self._api.query(soql), expects="records")
            if not answer.ok:
                return ContactResult(contact, "refused", f"Salesforce does not show it: {tell(answer)}")
            if enroll and answer.get("records", 0, "HasOptedOutOfEmail") is True:
                return ContactResult(contact, "skipped", "opted out in Salesforce")
            if isinstance(number := answer.get("records", 0, "Id"), str):
                return number
        return ContactResult(contact, "gone", "Salesforce has neither a contact nor a lead with that address")

    def _find_tracker(
        self, number: str, cadence: str
    ) -> Generator[Call, Answer, tuple[str | None, str] | Answer]:
        """Return the id of the target's tracker and since when it is, or the answer that refuses."""
        states = ", ".join(quote(one) for one in ACTIVE)
        answer = yield look(
            self._api.query(
                f"SELECT Id, CreatedDate FROM ActionCadenceTracker WHERE TargetId = {quote(number)} "
                f"AND ActionCadenceId = {quote(cadence)} AND State IN ({states}) LIMIT 1"
            ),
            expects="records",
        )
        if not answer.ok:
            return answer
        found = answer.get("records", 0, "Id")
        since = str(answer.get("records", 0, "CreatedDate", default=""))
        return (found if isinstance(found, str) else None), since

    def _each(
        self,
        operation: Operation,
        target: SalesforceTarget,
        change: Callable[[Operation, Contact, str, str], Generator[Call, Answer, ContactResult]],
    ) -> Steps:
        """Change each contact that is in the cadence, which is looked up first."""
        results: list[ContactResult] = []
        cadence = target.cadence
        if cadence is None:
            if operation.kind in {"stop", "pause"}:
                return Result("skipped", "the workflow is a task: nothing runs in Salesforce")
            return (yield from self._make_task(operation))
        for one in operation.enrolled:
            number = yield from self._target_of(one)
            if isinstance(number, ContactResult):
                results.append(number)
                continue
            found = yield from self._find_tracker(number, cadence)
            if isinstance(found, Answer):
                why = f"Salesforce does not show the cadence: {tell(found)}"
                results.append(ContactResult(one.contact, "refused", why))
                continue
            tracker, _ = found
            if tracker is None:
                results.append(ContactResult(one.contact, "already", "not in the cadence any more"))
            else:
                results.append((yield from change(operation, one.contact, number, tracker)))
        return summarize(results)

    def _target_of(self, one: Enrolled) -> Generator[Call, Answer, str | ContactResult]:
        return one.references.get("target") or (yield from self._find_target(one.contact))

    def _remove(
        self, _: Operation, contact: Contact, number: str, tracker: str
    ) -> Generator[Call, Answer, ContactResult]:
        given = {"actionCadenceTrackerId": tracker, "completionReasonCode": "ManuallyRemoved"}
        answer = yield repeat(self._api.action("removeTargetFromSalesCadence", **given))
        return read_action(contact, answer, {"target": number})

    def _pause(
        self, _: Operation, contact: Contact, number: str, tracker: str
    ) -> Generator[Call, Answer, ContactResult]:
        answer = yield repeat(self._api.action("pauseSalesCadenceTracker", targetId=number))
        return read_action(contact, answer, {"target": number, "tracker": tracker})

    def _reassign(
        self, operation: Operation, contact: Contact, number: str, tracker: str
    ) -> Generator[Call, Answer, ContactResult]:
        user = None if operation.owner is None else operation.owner.ids.get("user")
        if user is None:
            name = "the account" if operation.owner is None else operation.owner.name
            return ContactResult(contact, "refused", f"{name} has no Salesforce `user` in sinks.yaml")
        answer = yield repeat(
            self._api.action("changeSalesCadenceTargetAssignee", targetId=number, userId=user)
        )
        return read_action(contact, answer, {"target": number, "tracker": tracker})

    # Tasks

    def _make_task(self, operation: Operation) -> Steps:
        key = f"{operation.key}-{operation.kind}".replace(".", "-")  # a dot in a path is read as a format
        title = operation.brief.title[:255]
        number = yield from self._api.find_account(operation.account, self._options.account_key)
        body: dict[str, Any] = {
            "Subject": title,
            "Description": f"{operation.brief.text}\n\nResegment {key}"[:32_000],
            "Status": "Not Started",
            "Priority": "Normal",
        }
        day = (operation.brief.due or operation.at)[:10]
        if day:
            body["ActivityDate"] = day
        if number is not None:
            body["WhatId"] = number
        user = None if operation.owner is None else operation.owner.ids.get("user")
        if user is not None:
            body["OwnerId"] = user
        path = f"{self._api.base}/sobjects/Task"
        if self._options.task_key is not None:
            answer = yield repeat(Request("PATCH", f"{path}/{self._options.task_key}/{key}", body=body))
        else:
            found, looked = yield from self._find_task(title, number, key)
            if found is not None:
                return Result("applied", "the task was there already", references={"task": found})
            answer = yield once(Request("POST", path, body=body), "task", looked=looked)
        if answer.ok:
            return Result(
                "applied", f"a task: {title}", references={"task": str(answer.get("id", default=""))}
            )
        if answer.verdict == "lost":
            return Result("unknown", f"it is not known whether the task was made: {title}")
        return Result("gone" if answer.verdict == "gone" else "refused", f"no task was made: {tell(answer)}")

    def _find_task(
        self, title: str, number: str | None, key: str
    ) -> Generator[Call, Answer, tuple[str | None, bool]]:
        """Return the id of the task that has the key in its text, and whether Salesforce showed its tasks."""
        tests = f"Subject = {quote(title)}" + ("" if number is None else f" AND WhatId = {quote(number)}")
        answer = yield look(
            self._api.query(
                f"SELECT Id, Description FROM Task WHERE {tests} ORDER BY CreatedDate DESC LIMIT 200"
            ),
            expects="records",
        )
        for one in answer.rows("records") if answer.ok else []:
            if key in str(one.get("Description") or ""):
                return str(one.get("Id", "")), True
        return None, answer.ok


def _leave() -> Steps:
    yield from ()
    return Result("applied", "what is in the cadence runs to its end")


SALESFORCE: Final = Vendor(
    name="salesforce",
    title="Salesforce",
    base="",
    capabilities=frozenset({"enroll", "stop", "pause", "move", "task", "property"}),
    credentials=(
        ("client_id", "client_secret"),
        ("client_id", "client_secret", "refresh_token"),
        ("token",),
    ),
    target=SalesforceTarget,
    options=SalesforceOptions,
    build=Salesforce,
    owner_ids={
        "user": "the id of the user, for cadences and tasks",
        "owner": "the id of the user, for the field OwnerId",
    },
    limits=(Limit(20, 1.0),),  # Salesforce documents limits of a day, and 25 long requests at once
    searches=True,
)
