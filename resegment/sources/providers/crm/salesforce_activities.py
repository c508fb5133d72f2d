"""Salesforce's activities: e-mails, meetings, opt-outs of contacts and leads, and outcomes as platform events of your own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Op
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored
from resegment.sources.adapters.tables import Table
from resegment.sources.normalizers.auto_replies import is_auto_reply
from resegment.sources.providers.sequencers.outcomes import WORDS, outcome

_CHANGED: Final = listed("LastModifiedDate, SystemModstamp, commitTimestamp, CreatedDate")
_HOSTS: Final = listed("contact_email, Email, Account.Website, Website, Domain__c")
_KNOWN: Final = listed("AccountId, Account.Id, Account.Name, ContactId, WhoId, Company")
_PERSON: Final = ("contact_email", "Email", "Who.Email", "contact_name")


def _table(name: str, record: str, action: str, times: tuple[str, ...], **more: Any) -> Table:
    more.setdefault("more", {})
    return outcome(
        name, record=record, key=("Id",), person=_PERSON, subject=_HOSTS, known_as=_KNOWN,
        time=(*times, *_CHANGED), action=action, **more,
    )  # fmt: skip


EMAILS: Final = {
    "sent": _table("e-mail that was sent", "email-sent", "sent", ("MessageDate",)),
    "opened": _table("e-mail that was opened", "email-opened", "opened", ("FirstOpenedDate", "LastOpenedDate")),
    "replied": _table("e-mail from a person", "email-replied", "replied", ("MessageDate",)),
    "auto_replied": _table("automatic reply", "email-auto-replied", "auto_replied", ("MessageDate",)),
    "bounced": _table("e-mail that bounced", "email-bounced", "bounced", ("BouncedDate", "MessageDate")),
}  # fmt: skip


def _is_gone(record: Record) -> Op:
    change = (record.find_text("ChangeEventHeader.changeType") or "").upper()
    gone = change in ("DELETE", "GAP_DELETE") or str(record.find("IsDeleted")).lower() == "true"
    return "retract" if gone else "assert"


MEETING: Final = _table(
    "meeting", "event", "meeting_booked", ("CreatedDate",), channel="meeting", op=_is_gone, recorded=_CHANGED, withdrawn=_CHANGED,
    more={"starts_at": field("time", "StartDateTime", "ActivityDateTime")},
)  # fmt: skip
OPTED_OUT: Final = _table("contact or lead who opted out", "opt-out", "unsubscribed", ())
BOUNCED: Final = _table(
    "contact or lead whose address bounces", "bounced", "bounced", ("EmailBouncedDate",),
    more={"reason": field("text", "EmailBouncedReason")},
)  # fmt: skip
_ACTION: Final = ("Action__c", "Outcome__c")
PLATFORM: Final = outcome(
    "platform event with an outcome",
    record="platform-event",
    key=(
        "EventUuid|event.EventUuid|Record__c|ReplayId|event.replayId",
        "Action__c|Outcome__c",
        "Email__c|Person__c",
        "@time",
    ),
    person=("Email__c", "Person__c"),
    subject=("Domain__c", "Website__c", "Account__c", "Email__c"),
    known_as=("Account_Id__c", "AccountId__c", "Account_Name__c"),
    time=("Occurred_At__c", "CreatedDate"),
    action=choice(WORDS, *_ACTION),
    channel=None,
    more={
        "channel": field("text", "Channel__c"),
        "sequence": field("text", "Sequence__c", "Cadence__c"),
        "deal": field("text", "Opportunity__c", "Deal__c", "Opportunity_Id__c"),
        "stage": field("text", "Stage__c"),
        "amount_usd": field("money", "Amount__c"),
    },
)
TABLES: Final = (*EMAILS.values(), MEETING, OPTED_OUT, BOUNCED, PLATFORM)


PEOPLE: Final = ("EmailMessage", "Event", "Contact", "Lead")
"""The objects that say what people did."""


def is_outcome_event(kind: str | None, record: Record) -> bool:
    """Whether a record is a platform event of your own that says an outcome."""
    return (kind is None or kind.endswith("__e")) and record.has(*_ACTION)


def read_activity(one: Mapping[str, Any], record: Record, kind: str | None) -> Iterator[Pair | Item]:
    """Read an e-mail, a meeting, a contact or a lead, or a platform event with an outcome."""
    if kind not in PEOPLE:
        yield PLATFORM, one
    elif kind == "EmailMessage":
        yield from _read_email(one, record)
    elif kind == "Event":
        about = normalize_term(record.find_text("Type", "EventSubtype") or "")
        if about in ("meeting", "demo", "call_meeting", "discovery", "web_conference"):
            yield MEETING, one
        else:
            yield ignored("Event", "only an event of the type Meeting or Demo is a meeting", "Type")
    elif str(record.find("HasOptedOutOfEmail")).lower() in ("true", "1"):
        yield OPTED_OUT, one
    elif record.find("EmailBouncedDate") is not None:
        yield BOUNCED, one
    else:
        why = (
            "a contact is no account"
            if kind == "Contact"
            else "a lead names a person, and its company only by name"
        )
        yield ignored(kind or "", why, "attributes.type")  # fmt: skip


def _read_email(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    incoming = str(record.find("Incoming")).lower() in ("true", "1")
    if incoming:
        automatic = is_auto_reply(record, ("Subject",), ("Headers",))
        yield (
            EMAILS["auto_replied" if automatic else "replied"],
            {**one, "contact_email": record.find("FromAddress")},
        )
        return
    row = {**one, "contact_email": (record.find_text("ToAddress") or "").split(";")[0].strip() or None}
    found = []
    if (record.find_text("Status") or "").lower() in ("3", "sent", "2", "replied"):
        found.append("sent")
    if str(record.find("IsBounced")).lower() in ("true", "1"):
        found.append("bounced")
    if record.find("FirstOpenedDate") is not None:
        found.append("opened")
    for action in found:
        yield EMAILS[action], row
    if not found:
        yield ignored("EmailMessage", "it was not sent", "Status")  # fmt: skip
