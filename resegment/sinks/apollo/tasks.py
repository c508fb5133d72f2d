"""Apollo's tasks: about a contact. Apollo does not notice a second one, so they are looked up by the mark in the note."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from resegment.sinks.apollo.contacts import find_contact, find_user, search
from resegment.sinks.operation import Operation
from resegment.sinks.port import Answer, Call, Request, Result, Steps, look, once
from resegment.sinks.reading import explain, mark, write_brief

MAX_TITLE: Final = 255
PAGES: Final = 5
"""How many pages of 100 tasks are looked through: those that are due last."""


def make_task(operation: Operation, fallback: str | None) -> Steps:
    """Make a task for the owner, once."""
    user = find_user(operation, fallback)
    if user is None:
        return Result("refused", "the owner has no `user` for Apollo in sinks.yaml, and the sink has none")
    found = yield from _find_task(operation)
    if found is not None:
        return found
    contact = yield from _find_subject(operation)
    if isinstance(contact, Result):
        return contact
    body: dict[str, Any] = {
        "user_id": user,
        "contact_id": contact,
        "type": "action_item",
        "priority": "high",
        "status": "scheduled",
        "due_at": operation.brief.due or operation.at,
        "title": (operation.brief.title or operation.account)[:MAX_TITLE],
        "note": write_brief(operation),
    }
    answer = yield once(Request("POST", "/api/v1/tasks", body=body), "task", looked=True)
    if answer.ok:
        references = {"task": str(answer.get("task", "id", default=""))}
        return Result("applied", f"a task for the user {user}", references=references)
    if answer.verdict == "gone":
        return Result("gone", f"the user or the contact is gone: {explain(answer)}")
    return Result("refused", f"Apollo refused the task: {explain(answer)}")


def _find_task(operation: Operation) -> Generator[Call, Answer, Result | None]:
    for page in range(1, PAGES + 1):
        query = [("sort_by_field", "task_due_at"), ("page", str(page)), ("per_page", "100")]
        answer = yield look(Request("POST", "/api/v1/tasks/search", query=query), expects="tasks")
        if not answer.ok:
            return Result("refused", f"Apollo does not show tasks: {explain(answer)}")
        for row in answer.rows("tasks"):
            if mark(operation) in str(row.get("note")):
                return Result(
                    "applied", "the task was there already", references={"task": str(row.get("id"))}
                )
        pages = answer.get("pagination", "total_pages", default=1)
        if not isinstance(pages, int) or page >= pages:
            return None
    return None


def _find_subject(operation: Operation) -> Generator[Call, Answer, str | Result]:
    """Return the contact that the task is about: one of the operation, else one of the account."""
    for enrolled in operation.enrolled:
        known = enrolled.references.get("contact") or enrolled.contact.ids.get("apollo")
        if known:
            return known
    for contact in (*(one.contact for one in operation.enrolled), *operation.contacts):
        if contact.email:
            found = yield from find_contact(contact, None)
            if found.ok and found.get("id"):
                return str(found.get("id"))
    answer = yield look(search(operation.account), expects="contacts")
    ending = f"@{operation.account}"
    for row in answer.rows("contacts"):
        if row.get("id") and str(row.get("email")).lower().endswith(ending):
            return str(row["id"])
    why = "Apollo has no contact of the account, and its tasks need one"
    return Result("refused", why if answer.ok else f"{why}: {explain(answer)}")
