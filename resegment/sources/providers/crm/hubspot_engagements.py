"""HubSpot's engagements: one-to-one e-mails and meetings, and what properties of contacts say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Op
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Item
from resegment.sources.adapters.records import Record, as_list, is_blank, normalize_name
from resegment.sources.adapters.splitting import Pair, ignored
from resegment.sources.adapters.tables import Table
from resegment.sources.normalizers.auto_replies import is_auto_reply
from resegment.sources.providers.sequencers.outcomes import know, outcome

_HOSTS: Final = listed("contact_email, email, domain, company domain name, company.domain, website")
_KNOWN: Final = listed("contact_ref, company_ref, associations.companies.results.id, associations.companyIds")
_PERSON: Final = ("contact_email", "email", "contact_name")
_SEQUENCE: Final = {"sequence": field("text", "hs_sequence_id", "sequenceId")}
_AT: Final = listed("hs_timestamp, timestamp, hs_createdate, createdAt, createdate, occurredAt, updatedAt")
_UPDATED: Final = listed("hs_lastmodifieddate, updatedAt, lastUpdated, occurredAt")
_SPLIT: Final = re.compile(r"[;,]")


def _table(name: str, record: str, action: str, times: tuple[str, ...], **more: Any) -> Table:
    more.setdefault("more", _SEQUENCE)
    more.setdefault("key", ("hs_object_id|id|objectId",))
    more.setdefault("known_as", _KNOWN)
    return outcome(
        name, record=record, person=_PERSON, subject=_HOSTS, time=times, action=action, **more
    )  # fmt: skip


def _is_canceled(record: Record) -> Op:
    found = normalize_term(record.find_text("hs_meeting_outcome") or "")
    return "retract" if found in ("canceled", "cancelled") or record.find("archived") is True else "assert"


EMAILS: Final = {
    action: _table(
        name,
        f"email-{action}",
        action,
        _AT,
        more={**_SEQUENCE, "reason": field("text", "hs_email_bounce_error_detail_message")},
    )
    for action, name in (
        ("sent", "one-to-one e-mail"),
        ("replied", "e-mail from a contact"),
        ("auto_replied", "automatic reply of a contact"),
        ("bounced", "one-to-one e-mail that bounced"),
    )
}
BOOKED: Final = _table(
    "meeting",
    "meeting",
    "meeting_booked",
    listed("hs_createdate, createdate, createdAt, occurredAt, hs_timestamp, timestamp"),
    channel="meeting",
    known_as=(*_KNOWN, "objectId"),
    own=("objectId",),
    op=_is_canceled,
    recorded=_UPDATED,
    withdrawn=_UPDATED,
)
HELD: Final = _table(
    "meeting that was held",
    "meeting-held",
    "meeting_held",
    listed("hs_meeting_end_time, endTime, hs_timestamp, timestamp, hs_meeting_start_time, occurredAt"),
    known_as=(*_KNOWN, "objectId"),
    own=("objectId",),
    channel="meeting",
)
PROPERTIES: Final = {
    "hs_sales_email_last_replied": "replied",
    "hs_email_last_reply_date": "replied",
    "hs_email_last_send_date": "sent",
    "hs_email_last_open_date": "opened",
    "hs_sales_email_last_opened": "opened",
    "hs_email_last_click_date": "clicked",
    "hs_sales_email_last_clicked": "clicked",
    "engagements_last_meeting_booked": "meeting_booked",
    "hs_email_optout": "unsubscribed",
    "hs_email_hard_bounce_reason": "bounced",
    "hs_email_hard_bounce_reason_enum": "bounced",
    "hs_email_bounce": "bounced",
}
"""What a change of a contact's property means."""
_DATED: Final = frozenset({"replied", "sent", "opened", "clicked", "meeting_booked"})
CONTACT: Final = {
    action: _table(
        f"contact's property that says {action}",
        f"contact-{action}",
        action,
        ("happened_at", "occurredAt"),
        key=("objectId", "@time"),
        learns=("contact_ref",),
    )
    for action in (*dict.fromkeys(PROPERTIES.values()), "resubscribed")
}


_KNOW: Final = know("contact", subject=_HOSTS, learns=("contact_ref",))
TABLES: Final = (*EMAILS.values(), BOOKED, HELD, *CONTACT.values())


def _refer(row: Mapping[str, Any], contact: Any) -> dict[str, Any]:
    """Return a row that names the contact by its id."""
    text = None if is_blank(contact) else str(contact)
    return {**row, "contact_ref": f"contact-{text}", "contact_name": f"hubspot:{text}"} if text else dict(row)


def _first(record: Record, *paths: str) -> str | None:
    """Return the first address of a text that may hold several."""
    text = record.find_text(*paths)
    return None if text is None else _SPLIT.split(text)[0].strip()


def is_engagement(record: Record) -> bool:
    """Whether a record is a one-to-one e-mail, a meeting, or an engagement of the old interface."""
    return record.has("hs_email_direction", "hs_email_status", "hs_meeting_outcome", "hs_meeting_start_time", "engagement")  # fmt: skip


def read_engagement(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    """Read an engagement."""
    old = record.find("engagement")
    if isinstance(old, Mapping):
        yield from _read_old(Record(old), record)
        return
    contact = record.find_text("associations.contacts.results.id")
    if record.has("hs_meeting_outcome", "hs_meeting_start_time"):
        yield from _read_meeting(_refer(one, contact), record.find_text("hs_meeting_outcome"))
        return
    direction = normalize_term(record.find_text("hs_email_direction") or "email")
    status = normalize_term(record.find_text("hs_email_status") or "sent")
    headers = ("hs_email_headers.headers", "headers")
    automatic = is_auto_reply(record, ("hs_email_subject",), headers)
    yield from _read_email(
        one, record, contact, direction, status, automatic, ("hs_email_from_email",), ("hs_email_to_email",)
    )


def _read_email(
    one: Mapping[str, Any],
    record: Record,
    contact: Any,
    direction: str,
    status: str,
    automatic: bool,  # one of the facts of a mail
    sender: tuple[str, ...],
    receiver: tuple[str, ...],
) -> Iterator[Pair | Item]:
    row = _refer(one, contact)
    if direction == "incoming_email":
        action = "auto_replied" if automatic else "replied"
        yield EMAILS[action], {**row, "contact_email": _first(record, *sender)}
    elif direction == "email" and status in ("sent", "bounced"):
        yield EMAILS[status], {**row, "contact_email": _first(record, *receiver)}
    else:
        yield ignored(f"e-mail {direction} {status}", "nothing was sent, and nobody answered", "hs_email_direction")  # fmt: skip


def _read_meeting(row: Mapping[str, Any], outcome_: str | None) -> Iterator[Pair | Item]:
    yield BOOKED, {**row, "hs_meeting_outcome": outcome_ or "SCHEDULED"}
    if normalize_term(outcome_ or "") == "completed":
        yield HELD, row


def _read_old(engagement: Record, record: Record) -> Iterator[Pair | Item]:
    """Read an engagement of the old interface: `{engagement, associations, metadata}`."""
    kind = (engagement.find_text("type") or "").upper()
    companies = as_list(record.find("associations.companyIds"))
    row = {
        **engagement.given,
        "company_ref": next(iter(companies), None),
        "endTime": record.find("metadata.endTime"),
    }
    contact = next(iter(as_list(record.find("associations.contactIds"))), None)
    if kind == "MEETING":
        yield from _read_meeting(
            _refer(row, contact), record.find_text("metadata.meetingOutcome", "metadata.outcome")
        )
    elif kind in ("EMAIL", "INCOMING_EMAIL", "FORWARDED_EMAIL"):
        status = normalize_term(record.find_text("metadata.status") or "sent")
        automatic = is_auto_reply(record, ("metadata.subject",), ("metadata.headers",))
        yield from _read_email(
            row, record, contact, kind.lower(), status, automatic, ("metadata.from.email",), ("metadata.to.email",)
        )  # fmt: skip
    else:
        yield ignored(f"engagement {kind[:40]}", "only e-mails and meetings give outcomes", "engagement.type")


def read_contact_change(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    """Read that a property of a contact changed."""
    name = record.find_text("propertyName") or ""
    action = PROPERTIES.get(name.lower())
    value = record.find("propertyValue")
    row = _refer(one, record.find_text("objectId"))
    if action is None:
        yield ignored(f"contact property {name[:60]}", "it says nothing of an answer", "propertyName")
    elif action in _DATED:
        if is_blank(value):
            yield ignored(f"contact property {name[:60]}", "it was cleared", "propertyValue")
        else:
            yield CONTACT[action], {**row, "happened_at": value}
    elif name.lower() == "hs_email_optout":
        yield CONTACT["unsubscribed" if str(value).lower() == "true" else "resubscribed"], row
    elif is_blank(value) or str(value).strip() == "0":
        yield ignored(f"contact property {name[:60]}", "it was cleared", "propertyValue")
    else:
        yield CONTACT["bounced"], row


def read_meeting_change(one: Mapping[str, Any], record: Record, kind: str) -> Iterator[Pair | Item]:
    """Read a webhook about a meeting: its creation, or another outcome of it."""
    if kind == "creation":
        yield from _read_meeting({**one, "id": record.find("objectId")}, None)
    elif kind == "deletion":
        yield BOOKED, {**one, "hs_meeting_outcome": "CANCELED"}
    elif (
        kind == "propertychange"
        and normalize_name(record.find_text("propertyName") or "") == "hsmeetingoutcome"
    ):
        found = record.find_text("propertyValue")
        row = {name: value for name, value in one.items() if name != "hs_timestamp"}
        if normalize_term(found or "") == "completed":
            yield HELD, row
        elif normalize_term(found or "") in ("canceled", "cancelled"):
            yield BOOKED, {**row, "hs_meeting_outcome": found}
        else:
            yield ignored(f"meeting {found or 'without outcome'}", "it was booked before", "propertyValue")
    else:
        yield ignored(f"meeting.{kind}", "only its creation and its outcome give events", "subscriptionType")  # fmt: skip


def know_contact(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    """Read a contact, which is no account, but tells the domain of its id."""
    yield from _KNOW(_refer(one, record.find_text("hs_object_id", "record id", "vid", "id")))
