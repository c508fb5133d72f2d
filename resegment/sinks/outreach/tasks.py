"""Outreach's tasks: one for the owner about the account, found again by the key in its note."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final
from urllib.parse import parse_qs, urlsplit

from resegment.sinks.operation import Operation
from resegment.sinks.outreach.wire import get, post, resource
from resegment.sinks.port import WITHHELD, Answer, Call, Result, Steps, look, once
from resegment.sinks.reading import DRY, explain, mark, number, write_brief

PAGES: Final = 5
"""How many pages of 100 tasks are looked through."""


def make_task(operation: Operation, fallback: int | None) -> Steps:
    """Make a task for the owner, once."""
    owner = None if operation.owner is None else number(operation.owner.ids.get("user"))
    user = owner if owner is not None else fallback
    if user is None:
        return Result("refused", "the owner has no `user` for Outreach in sinks.yaml, and the sink has none")
    found = yield from _find_task(user, operation)
    if isinstance(found, Result):
        return found
    subject = yield from _find_subject(operation)
    if isinstance(subject, Result):
        return subject
    attributes = {"action": "action_item", "note": write_brief(operation)}
    if operation.brief.due:
        attributes["dueAt"] = operation.brief.due
    body = resource("task", None, attributes, relationships={"owner": ("user", user), "subject": subject})
    answer = yield once(post("/tasks", body), "task", looked=True)
    if answer.ok:
        references = {"task": str(answer.get("data", "id", default=""))}
        return Result("applied", f"a task for the user {user}", references=references)
    if answer.verdict == "gone":
        return Result("gone", f"the user or the record is gone: {explain(answer)}")
    return Result("refused", f"Outreach refused the task: {explain(answer)}")


def _find_task(user: int, operation: Operation) -> Generator[Call, Answer, Result | None]:
    """Return the result if the task is there already."""
    query = [
        ("filter[owner][id]", str(user)),
        ("sort", "-createdAt"),
        ("page[size]", "100"),
        ("count", "false"),
    ]
    if operation.at:
        query.append(("filter[createdAt]", f"{operation.at[:10]}..inf"))
    after = ""
    for _ in range(PAGES):
        more = (("page[after]", after),) if after else ()
        answer = yield look(get("/tasks", *query, *more), expects="data")
        if not answer.ok:
            return Result("refused", f"Outreach does not show tasks: {explain(answer)}")
        for row in answer.rows("data"):
            note = Answer(200, row).get("attributes", "note")
            if isinstance(note, str) and mark(operation) in note:
                return Result(
                    "applied", "the task was there already", references={"task": str(row.get("id"))}
                )
        after = _next(answer)
        if not after:
            return None
    return None


def _next(answer: Answer) -> str:
    """Return the cursor of the next page; an empty text if there is none."""
    link = answer.get("links", "next")
    if not isinstance(link, str):
        return ""
    return parse_qs(urlsplit(link).query).get("page[after]", [""])[0]


def _find_subject(operation: Operation) -> Generator[Call, Answer, tuple[str, int] | Result]:
    """Return what the task is about: a prospect of the operation, or the account, created if Outreach has none."""
    for enrolled in operation.enrolled:
        prospect = number(enrolled.references.get("prospect"))
        if prospect is not None:
            return "prospect", prospect
    answer = yield look(
        get("/accounts", ("filter[domain]", operation.account), ("count", "false")), expects="data"
    )
    if not answer.ok:
        return Result("refused", f"Outreach does not show accounts: {explain(answer)}")
    account = number(answer.get("data", 0, "id"))
    if account is not None:
        return "account", account
    body = resource("account", None, {"name": operation.account, "domain": operation.account})
    answer = yield once(post("/accounts", body), "account", looked=True)
    if answer is WITHHELD:
        return Result("applied", f"{DRY}: Outreach has no such account yet")
    account = number(answer.get("data", "id"))
    if answer.ok and account is not None:
        return "account", account
    return Result("refused", f"Outreach did not create the account: {explain(answer)}")
