"""Make the requests to HubSpot, and read what its answers have in common."""

from __future__ import annotations

import html
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from resegment.sinks.port import Answer, Call, Request, look

VERSION: Final = "2026-03"
MOST_FOUND: Final = 200
"""Records of one page of a search."""
TASK_TO_COMPANY: Final = 192
TASK_TO_CONTACT: Final = 204
"""The types of associations that HubSpot defines for tasks."""

_MISSING: Final = re.compile(r'[Pp]roperty \\*"([a-z0-9_]+)\\*" does not exist')


def objects(kind: str, *parts: str) -> str:
    """Return the path of an object API."""
    return "/".join((f"/crm/objects/{VERSION}/{kind}", *(quote(one, safe="") for one in parts)))


def search(
    kind: str, groups: Sequence[Sequence[Mapping[str, Any]]], properties: Sequence[str], after: str = "0"
) -> Request:
    """Return a search for records that match all filters of any group. All these keys are required."""
    body = {
        "filterGroups": [{"filters": list(group)} for group in groups],
        "properties": list(properties),
        "sorts": [],
        "limit": MOST_FOUND,
        "after": after,
    }
    return Request("POST", f"/crm/objects/{VERSION}/{kind}/search", body=body)


def equals(name: str, value: str) -> dict[str, Any]:
    """Return a filter: the property has this value."""
    return {"propertyName": name, "operator": "EQ", "value": value}


def is_one_of(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Return a filter: the property has one of these values."""
    return {"propertyName": name, "operator": "IN", "values": [one.lower() for one in values]}


def find_company(account: str) -> Generator[Call, Answer, str | None]:
    """Return the id of the company with that domain, the oldest if there are several; None if there is none."""
    answer = yield look(search("companies", [[equals("domain", account)]], ["domain"]), expects="results")
    found = [str(one["id"]) for one in answer.rows("results") if one.get("id")] if answer.ok else []
    return min(found, key=_number, default=None)


def _number(text: str) -> tuple[int, str]:
    return (len(text) if text.isdigit() else 0, text)


def batch(kind: str, action: str, inputs: Sequence[Mapping[str, Any]]) -> Request:
    """Return a request for many records."""
    return Request("POST", objects(kind, "batch", action), body={"inputs": list(inputs)})


def associate(kind: str, number: str, to: str, other: str) -> Request:
    """Return the request that links two records by the default association of their kinds."""
    return Request("PUT", objects(kind, number, "associations", "default", to, other))


def change_list(number: str, add: Sequence[str], remove: Sequence[str]) -> Request:
    """Return the request that changes who is in a list; both arrays are required."""
    body = {"recordIdsToAdd": list(add), "recordIdsToRemove": list(remove)}
    return Request(
        "PUT", f"/crm/lists/{VERSION}/{quote(number, safe='')}/memberships/add-and-remove", body=body
    )


def enrollments(*parts: str) -> str:
    """Return the path of the enrollments in sequences."""
    return "/".join((f"/automation/sequences/{VERSION}/enrollments", *(quote(one, safe="") for one in parts)))


def to_html(text: str) -> str:
    """Return plain text as the HTML that bodies of tasks are."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def tell(answer: Answer) -> str:
    """Return what an error says, in one line."""
    message = answer.get("message")
    inner = answer.get("errors", 0, "message")
    parts = [str(one) for one in (message, inner) if isinstance(one, str)]
    return "; ".join(dict.fromkeys(parts))[:300] or f"status {answer.status}"


def find_missing_properties(answer: Answer) -> set[str]:
    """Return the properties that HubSpot says do not exist."""
    found: set[str] = set()
    for text in _texts(answer.body):
        found.update(_MISSING.findall(text))
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []
