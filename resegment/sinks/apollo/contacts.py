"""Apollo's contacts: found by their e-mail address, created if missing. Only saved contacts can be in a sequence."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from resegment.sinks.operation import Contact, Enrolled, Operation
from resegment.sinks.port import WITHHELD, Answer, Call, ContactResult, Request, look, once, repeat
from resegment.sinks.reading import DRY, choose_owner_id, explain, leave_out_empty

PER_PAGE = 25


def search(words: str) -> Request:
    """Return a request for the saved contacts that match words: names, titles, companies, e-mail addresses."""
    body = {"q_keywords": words, "page": 1, "per_page": PER_PAGE}
    return Request("POST", "/api/v1/contacts/search", body=body)


def find_contact(contact: Contact, known: str | None) -> Generator[Call, Answer, Answer]:
    """Return the contact as an answer whose body is empty if Apollo has none, or the answer that refuses."""
    if known:
        answer = yield look(Request("GET", f"/api/v1/contacts/{known}"), expects="contact")
        return Answer(answer.status, answer.get("contact", default={})) if answer.ok else answer
    answer = yield look(search(contact.key), expects="contacts")
    if not answer.ok:
        return answer
    rows = answer.rows("contacts")
    return Answer(200, next((one for one in rows if contact.key in _list_addresses(one)), {}))


def _list_addresses(row: Mapping[str, Any]) -> set[str]:
    found = [row.get("email"), *(one.get("email") for one in Answer(200, row).rows("contact_emails"))]
    return {one.strip().lower() for one in found if isinstance(one, str)}


def find_or_create(
    contact: Contact, operation: Operation, key_field: str | None, *, create: bool
) -> Generator[Call, Answer, Answer | ContactResult]:
    """Return the contact, created if Apollo has none, or why it cannot be used."""
    known = contact.ids.get("apollo")
    found = yield from find_contact(contact, known)
    if found.verdict == "gone":
        return ContactResult(contact, "gone", f"the contact {known} is gone")
    if not found.ok:
        return ContactResult(contact, "refused", explain(found))
    if not found.get("id"):
        if not create:
            return ContactResult(contact, "skipped", "Apollo has no such contact")
        return (yield from _create(contact, operation, key_field))
    if found.get("email_unsubscribed") is True:
        return ContactResult(contact, "skipped", "unsubscribed in Apollo")
    if key_field is not None and found.get("typed_custom_fields", key_field) != operation.key:
        body = {"typed_custom_fields": {key_field: operation.key}}
        yield repeat(Request("PATCH", f"/api/v1/contacts/{found.get('id')}", body=body))
    return found


def _create(
    contact: Contact, operation: Operation, key_field: str | None
) -> Generator[Call, Answer, Answer | ContactResult]:
    """Create the contact. `run_dedupe` is left out: it would overwrite the fields of a contact that Apollo takes for the same."""
    body = leave_out_empty(
        {
            "first_name": contact.first_name,
            "last_name": contact.last_name,
            "email": contact.email,
            "title": contact.title,
            "direct_phone": contact.phone,
            "website_url": f"https://{operation.account}",
            "typed_custom_fields": {key_field: operation.key} if key_field is not None else None,
        }
    )
    answer = yield once(Request("POST", "/api/v1/contacts", body=body), f"contact {contact.key}", looked=True)
    if answer is WITHHELD:
        return ContactResult(contact, "applied", f"{DRY}: Apollo has no such contact yet")
    created = Answer(answer.status, answer.get("contact", default={}))
    if answer.ok and created.get("id"):
        return created
    return ContactResult(contact, "refused", f"the contact was not created: {explain(answer)}")


def find_enrolled(enrolled: Enrolled) -> Generator[Call, Answer, str | ContactResult]:
    """Return the id of an enrolled contact."""
    known = enrolled.references.get("contact") or enrolled.contact.ids.get("apollo")
    if known:
        return known
    found = yield from find_contact(enrolled.contact, None)
    if not found.ok:
        return ContactResult(enrolled.contact, "refused", explain(found))
    identity = found.get("id")
    if not isinstance(identity, str) or not identity:
        return ContactResult(enrolled.contact, "gone", "Apollo has no such contact")
    return identity


def find_user(operation: Operation, *others: object) -> str | None:
    """Return the id of the owner's user."""
    return choose_owner_id(operation, "user", *others)
