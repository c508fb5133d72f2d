"""Read what Salesforce's answers mean for a contact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resegment.sinks.operation import Contact
from resegment.sinks.port import Answer, ContactResult, Verdict
from resegment.sinks.salesforce.requests import ALREADY, GONE, LATER, tell


def judge_code(code: str) -> Verdict:
    """Return what the code of an error means."""
    if code in LATER:
        return "retry"
    if code == "INVALID_SESSION_ID":
        return "unauthorized"
    if code in GONE:
        return "gone"
    return "conflict" if code in ALREADY else "refused"


def read_action(contact: Contact, answer: Answer, references: Mapping[str, str]) -> ContactResult:
    """Return what an action did for a contact."""
    if answer.ok:
        return ContactResult(contact, "applied", references=references)
    if answer.verdict == "lost":
        return ContactResult(contact, "unknown", "no answer", references)
    if answer.verdict == "conflict":
        return ContactResult(contact, "already", tell(answer), references)
    return ContactResult(contact, "gone" if answer.verdict == "gone" else "refused", tell(answer), references)


def is_since(created: str, at: str) -> bool:
    """Return whether a record was made after a change took effect."""
    try:
        return datetime.fromisoformat(created) >= datetime.fromisoformat(at)
    except (ValueError, TypeError):
        return False


def read_contact(row: Mapping[str, Any]) -> Contact:
    """Return the contact that a row is."""

    def text(name: str) -> str | None:
        value = row.get(name)
        return value.strip() or None if isinstance(value, str) else None

    return Contact(
        email=text("Email"),
        first_name=text("FirstName"),
        last_name=text("LastName"),
        title=text("Title"),
        phone=text("Phone"),
        ids={"salesforce": str(row["Id"])} if row.get("Id") else {},
        opted_out=row.get("HasOptedOutOfEmail") is True,
    )
