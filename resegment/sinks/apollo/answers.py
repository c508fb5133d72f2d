"""What Apollo says of contacts that it was asked to put into a sequence: a 200 may have left all of them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from resegment.sinks.operation import Contact
from resegment.sinks.port import Answer, ContactResult

_ALREADY: Final = ("already_exist", "already_in", "in_current_campaign", "active_in_current")
_LEFT_OUT: Final = ("skipped_contact_ids", "skipped", "skips", "skipped_contacts")


def read_added(
    contact: Contact, identity: str, answer: Answer, references: Mapping[str, str]
) -> ContactResult:
    """Return what became of one contact: it is in only if the answer lists it, and does not list it as left out."""
    reasons = _read_skipped(answer)
    if identity in reasons:
        reason = reasons[identity]
        if any(one in reason for one in _ALREADY):
            return ContactResult(contact, "already", "is in the sequence", references)
        return ContactResult(contact, "skipped", f"left out by Apollo: {reason or 'no reason given'}")
    if identity in _list_added(answer):
        return ContactResult(contact, "applied", "", references)
    if answer.get("entity_progress_job") is not None:
        return ContactResult(contact, "applied", "Apollo adds it in the background", references)
    return ContactResult(contact, "skipped", "Apollo's answer does not list the contact as added")


def _list_added(answer: Answer) -> set[str]:
    rows = answer.rows("contacts") or answer.rows("contacts", "added")
    return {str(one["id"]) for one in rows if one.get("id")}


def _read_skipped(answer: Answer) -> dict[str, str]:
    """Return the reasons by the id of a contact, in whatever shape they come."""
    found: dict[str, str] = {}
    for name in _LEFT_OUT:
        found |= dict(_walk(answer.get(name), ""))
    return found | dict(_walk(answer.get("contacts", "skipped"), ""))


def _walk(part: object, reason: str) -> Iterator[tuple[str, str]]:
    """Yield ids with reasons: of a list of ids, `{id: reason}`, `{reason: [ids]}`, or objects with an id and a reason."""
    if isinstance(part, str):
        yield part, reason
    elif isinstance(part, list):
        for one in part:
            yield from _walk(one, reason)
    elif isinstance(part, Mapping):
        own = next((one for name in ("reason", "code") if isinstance(one := part.get(name), str)), reason)
        identity = part.get("id") or part.get("contact_id")
        if isinstance(identity, str):
            yield identity, own
            return
        for name, value in part.items():
            if name in ("reason", "code"):
                continue
            if isinstance(value, str):
                yield name, value
            else:
                yield from _walk(value, own if name in ("ids", "contact_ids", "reasons") else name)
