"""Salesloft's tasks: about a person, found again by their idempotency key."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from resegment.sinks.operation import Operation
from resegment.sinks.port import Answer, Call, Request, Result, Steps, look, once
from resegment.sinks.reading import choose_owner_id, explain, mark, number, write_brief

MAX_SUBJECT: Final = 255


def make_task(operation: Operation, fallback: int | None) -> Steps:
    """Make a task for the owner, once. Salesloft wants a person in it: one of the account."""
    user = number(choose_owner_id(operation, "user", fallback))
    if user is None:
        return Result("refused", "the owner has no `user` for Salesloft in sinks.yaml, and the sink has none")
    query = [("idempotency_key", operation.key), ("per_page", "100")]
    answer = yield look(Request("GET", "/v2/tasks", query=query), expects="data")
    if not answer.ok:
        return Result("refused", f"Salesloft does not show tasks: {explain(answer)}")
    for row in answer.rows("data"):
        if row.get("idempotency_key") == operation.key or mark(operation) in str(row.get("description")):
            return Result("applied", "the task was there already", references={"task": str(row.get("id"))})
    person = yield from _find_person(operation)
    if isinstance(person, Result):
        return person
    body: dict[str, Any] = {
        "subject": (operation.brief.title or operation.account)[:MAX_SUBJECT],
        "person_id": person,
        "user_id": user,
        "task_type": "general",
        "due_date": (operation.brief.due or operation.at)[:10],
        "description": write_brief(operation),
        "idempotency_key": operation.key,
    }
    answer = yield once(Request("POST", "/v2/tasks", body=body), "task", looked=True)
    if answer.ok:
        references = {"task": str(answer.get("data", "id", default=""))}
        return Result("applied", f"a task for the user {user}", references=references)
    if answer.verdict == "conflict":
        return Result("applied", "the task was there already")
    if answer.verdict == "gone":
        return Result("gone", f"the user or the person is gone: {explain(answer)}")
    return Result("refused", f"Salesloft refused the task: {explain(answer)}")


def _find_person(operation: Operation) -> Generator[Call, Answer, int | Result]:
    """Return the person that the task is about: one of the operation, else one of the account."""
    for one in operation.enrolled:
        known = number(one.references.get("person"))
        if known is not None:
            return known
    for contact in [*(one.contact for one in operation.enrolled), *operation.contacts]:
        if contact.email:
            query = [("email_addresses[]", contact.key), ("per_page", "1")]
            answer = yield look(Request("GET", "/v2/people", query=query), expects="data")
            known = number(answer.get("data", 0, "id"))
            if known is not None:
                return known
    query = [("domain", operation.account), ("per_page", "1")]
    answer = yield look(Request("GET", "/v2/accounts", query=query), expects="data")
    account = number(answer.get("data", 0, "id"))
    if account is not None:
        query = [("account_id[]", str(account)), ("per_page", "1")]
        answer = yield look(Request("GET", "/v2/people", query=query), expects="data")
        known = number(answer.get("data", 0, "id"))
        if known is not None:
            return known
    why = "Salesloft knows no person of the account, and its tasks need one"
    return Result("refused", why if answer.ok else f"{why}: {explain(answer)}")
