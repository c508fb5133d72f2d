"""Smartlead: webhooks about e-mails, and about the category of a lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Op
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.normalizers.auto_replies import is_auto_reply
from resegment.sources.providers.sequencers.outcomes import LABELS, outcome, read_label

EVENTS: Final = {
    "email_open": "opened",
    "email_opened": "opened",
    "email_link_click": "clicked",
    "email_click": "clicked",
    "email_clicked": "clicked",
    "link_clicked": "clicked",
    "email_reply": "replied",
    "email_replied": "replied",
    "email_bounce": "bounced",
    "email_bounced": "bounced",
    "lead_unsubscribed": "unsubscribed",
    "email_unsubscribed": "unsubscribed",
}
_SENT: Final = {"email_sent": "sent", "first_email_sent": "sent"}
_IGNORED: Final = {
    "untracked_replies": "a mail that answers no e-mail of a campaign",
    "campaign_status_changed": "about your own campaign",
    "campaign_completed": "about your own campaign",
    "manual_step_reached": "a task of yours",
    "email_account_disconnected": "about your own mailbox",
    "linkedin_disconnected": "about your own LinkedIn account",
}
_EVENT: Final = ("event_type", "event")
_PERSON: Final = listed("sl_lead_email, lead_email, lead.email, lead_data.email, to_email, to")
_TIME: Final = listed(
    "event_timestamp, time_replied, time_sent, time_opened, time_clicked, time_bounced, timestamp, "
    "reply_message.time, created_at, metadata.webhook_created_at"
)
_MESSAGE: Final = "sent_message.message_id|email.message_id|message_id|stats_id|sequence_number"
_ANSWER: Final = (
    "reply_message.message_id|reply.message_id|message_id|email.message_id|stats_id|sequence_number"
)
_LEAD: Final = "|".join(_PERSON)
_CATEGORY: Final = listed(
    "lead_category.new_name, category.name, lead_data.category.name, category, new_category, lead_category.name"
)
_BEFORE: Final = ("lead_category.old_name", "old_category")
_MORE: Final = {
    "sequence": field("text", "campaign_id"),
    "sequence_name": field("text", "campaign_name"),
    "step": field("number", "sequence_number"),
}
_LEFT_OUT: Final = listed(
    "webhook_id, webhook_name, webhook_url, sl_email_lead_id, sl_email_lead_map_id, stats_id, stats_thread_id, from_email, "
    "from, to_name, lead_name, subject, campaign_status, sent_message_body, sent_message, reply_body, reply_message, "
    "preview_text, client_id, app_url, ui_master_inbox_link, secret_key, description, metadata, custom_subject, "
    "custom_email_message, cc_emails, history, lead_data, lead_id, lead_category_id, email_account_id, email, reply, lead, "
    "leadCorrespondence, unsubscribed_client_id_map, link_details, link_clicked"
)


def _refine(record: Record, data: dict[str, Any]) -> None:
    subjects = ("reply_message.subject", "reply.subject", "subject")
    if data.get("action") == "replied" and is_auto_reply(
        record, subjects, ("reply_message.headers", "headers")
    ):
        data["action"] = "auto_replied"


SENT: Final = outcome(
    "e-mail that was sent",
    record="sent",
    key=("campaign_id", _LEAD, _MESSAGE),
    person=_PERSON,
    time=_TIME,
    action="sent",
    more=_MORE,
    ignored=_LEFT_OUT,
)
EMAIL: Final = outcome(
    "webhook about an e-mail",
    record="email",
    key=("event_type|event", "campaign_id", _LEAD, _ANSWER, "@time"),
    person=_PERSON,
    time=_TIME,
    action=choice(EVENTS, *_EVENT),
    more={
        **_MORE,
        "url": field("text", "link_clicked", "link_details.link", "link_details.url"),
        "reason": field("text", "bounce_reason", "bounce_message", "reason"),
    },
    refine=_refine,
    ignored=_LEFT_OUT,
)


def _is_withdrawn(record: Record) -> Op:
    return "assert" if read_label(record.find_text(*_CATEGORY)) is not None else "retract"


def _category(record: Record, data: dict[str, Any]) -> None:
    data["action"] = read_label(record.find_text(*_CATEGORY))


CATEGORY: Final = outcome(
    "category of a lead",
    record="category",
    key=("meaning", "campaign_id", _LEAD),
    person=_PERSON,
    time=_TIME,
    action=choice(LABELS, *_CATEGORY),
    more={**_MORE, "reason": field("text", *_CATEGORY)},
    refine=_category,
    op=_is_withdrawn,
    ignored=_LEFT_OUT,
)


def _choose(one: Mapping[str, Any], context: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    inner = record.find("body", "payload")
    if isinstance(inner, Mapping) and not record.has(*_EVENT):
        yield from _choose(inner, context)
        return
    event = record.find_text(*_EVENT)
    term = normalize_term(event or "")
    if term in _SENT:
        yield SENT, one
    elif term in EVENTS:
        yield EMAIL, one
    elif term == "lead_category_updated":
        yield from _recategorize(one, record)
    elif term in _IGNORED:
        yield ignored(term.upper(), _IGNORED[term], "event_type")
    else:
        yield unknown(event, "event_type")


def _recategorize(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    """Read a new category of a lead. What the old one meant is withdrawn, unless the new one is a further step."""
    new, old = record.find_text(*_CATEGORY), record.find_text(*_BEFORE)
    meant, before = read_label(new), read_label(old)
    if meant is not None:
        yield CATEGORY, {**one, "meaning": meant}
    elif before in ("positive_reply", "meeting_booked", "auto_replied"):
        yield CATEGORY, {**one, "meaning": before}
    else:
        yield ignored(
            f"category {new or 'none'}",
            "it means no outcome; the reply itself is an event of its own",
            "lead_category",
        )


ADAPTER: Final = Adapter(
    name="smartlead",
    title="Smartlead",
    reads="webhooks in both layouts (`event_type`, and `event` with a `lead`)",
    tables=(SENT, EMAIL, CATEGORY),
    split=split_by(_choose, "events", "webhooks"),
    ignored={name.upper(): why for name, why in _IGNORED.items()},
    notes="`FIRST_EMAIL_SENT` and `EMAIL_SENT` of one e-mail are one fact. The category of a lead gives `positive_reply`, `meeting_booked`, "
    "`auto_replied` (Out Of Office) or `unsubscribed` (Do Not Contact); when a lead is taken out of such a category and put into one "
    "that means no outcome, the fact is withdrawn. Give the lead a custom field `resegment_key`, and it comes back as `idempotency_key`.",
)
