"""Make a task for the owner in HubSpot, once: an earlier one is found by the key in its text."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

from resegment.sinks.hubspot.requests import (
    TASK_TO_COMPANY,
    TASK_TO_CONTACT,
    equals,
    find_company,
    objects,
    search,
    tell,
    to_html,
)
from resegment.sinks.operation import Operation
from resegment.sinks.port import Answer, Call, Request, Result, look, once

MOST_TASKS: Final = 100
"""Of how many tasks of a company the text is read: the newest."""
PAGES: Final = 5


def make_task(
    operation: Operation, title: str, step: str, contacts: Sequence[str] = ()
) -> Generator[Call, Answer, Result]:
    """Make a task, linked to the company or else to `contacts`, unless it is there."""
    key = f"{operation.key}.{step}"
    company = yield from find_company(operation.account)
    found, looked = yield from _find(key, title, company)
    if found is not None:
        return Result("applied", "the task was there already", references={"task": found})
    answer = yield once(
        Request("POST", objects("tasks"), body=_write(operation, title, key, company, contacts)),
        step,
        looked=looked,
    )
    if answer.ok:
        return Result("applied", f"a task: {title}", references={"task": str(answer.get("id", default=""))})
    if answer.verdict == "lost":
        return Result("unknown", f"it is not known whether the task was made: {title}")
    return Result("gone" if answer.verdict == "gone" else "refused", f"no task was made: {tell(answer)}")


def _write(
    operation: Operation, title: str, key: str, company: str | None, contacts: Sequence[str]
) -> dict[str, Any]:
    text = "\n".join(one for one in (operation.brief.text, f"Resegment {key}") if one)
    properties = {
        "hs_timestamp": operation.brief.due or operation.at,
        "hs_task_subject": title[:250],
        "hs_task_body": to_html(text),
        "hs_task_status": "NOT_STARTED",
        "hs_task_type": "TODO",
    }
    owner = None if operation.owner is None else operation.owner.ids.get("owner")
    if owner is not None:
        properties["hubspot_owner_id"] = owner
    links = (
        [(company, TASK_TO_COMPANY)] if company is not None else [(one, TASK_TO_CONTACT) for one in contacts]
    )
    associations = [
        {"to": {"id": one}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}]}
        for one, kind in links
    ]
    return {"properties": properties, "associations": associations}


def _find(key: str, title: str, company: str | None) -> Generator[Call, Answer, tuple[str | None, bool]]:
    """Return the id of the task that has the key in its text, and whether HubSpot showed its tasks.

    Links of a company are found at once, a search lags.
    """
    if company is None:
        answer = yield look(
            search("tasks", [[equals("hs_task_subject", title[:250])]], ["hs_task_body"]), expects="results"
        )
        return _pick(answer, key), answer.ok
    path = objects("companies", company, "associations", "tasks")
    tasks: list[str] = []
    after = ""
    for _ in range(PAGES):
        query = [("limit", "500"), *([("after", after)] if after else [])]
        answer = yield look(Request("GET", path, query=tuple(query)), expects="results")
        if not answer.ok:
            return None, answer.verdict == "gone"
        tasks += [str(one["toObjectId"]) for one in answer.rows("results") if one.get("toObjectId")]
        after = str(answer.get("paging", "next", "after", default=""))
        if not after:
            break
    newest = sorted(tasks, key=lambda one: (len(one), one), reverse=True)[:MOST_TASKS]
    if not newest:
        return None, True
    body = {
        "inputs": [{"id": one} for one in newest],
        "properties": ["hs_task_body"],
        "propertiesWithHistory": [],
    }
    answer = yield look(Request("POST", objects("tasks", "batch", "read"), body=body), expects="results")
    return _pick(answer, key), answer.ok


def _pick(answer: Answer, key: str) -> str | None:
    if not answer.ok:
        return None
    for one in answer.rows("results"):
        body = (
            one.get("properties", {}).get("hs_task_body") if isinstance(one.get("properties"), dict) else None
        )
        if isinstance(body, str) and key in body:
            return str(one.get("id", ""))
    return None
