"""Apollo: e-mails of sequences and deals from the interface, and what its workflows send to a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.adapters.tables import Table
from resegment.sources.normalizers.auto_replies import is_auto_reply
from resegment.sources.providers.sequencers.deals import MOVED, DealPaths, describe_deals
from resegment.sources.providers.sequencers.outcomes import COMPANY, COMPANY_NAME, WORDS, outcome

_PERSON: Final = listed(
    "to_email, contact.email, contact_email, email, person.email, recipient_email, recipients.email"
)
_MORE: Final = {
    "sequence": field("text", *listed("emailer_campaign_id, emailer_campaign.id, sequence_id, sequence.id, campaign_id")),
    "sequence_name": field("text", *listed("campaign_name, emailer_campaign.name, sequence_name, sequence.name")),
    "step": field("text", "emailer_step_id", "campaign_position", "step"),
}  # fmt: skip
_LEFT_OUT: Final = listed(
    "user_id, time_zone, provider_message_id, to_name, from_email, from_name, send_from, subject, body_text, body_html, "
    "contact, contact_id, account_id, email_account_id, emailer_touch_id, provider_thread_id, attachment_ids, recipients"
)
_AT: Final = listed("completed_at, sent_at, due_at")
_HAPPENED: Final = listed("event_time, occurred_at, timestamp, last_event_at, updated_at")
REPLIES: Final = {
    "willing_to_meet": ("replied", "positive_reply"),
    "follow_up_question": ("replied", "positive_reply"),
    "person_referral": ("replied",),
    "out_of_office": ("auto_replied",),
    "already_left_company_or_not_right_person": ("replied",),
    "not_interested": ("replied",),
    "unsubscribe": ("replied", "unsubscribed"),
    "none_of_the_above": ("replied",),
}
"""What the classes of replies mean."""


def _message(action: str, name: str, *times: str) -> Table:
    return outcome(
        name,
        record=f"message-{action}",
        key=("id",),
        person=_PERSON,
        time=(*times, *_HAPPENED, *_AT, "created_at"),
        action=action,
        more=_MORE,
        ignored=_LEFT_OUT,
    )


MESSAGES: Final = {
    "sent": _message("sent", "e-mail that was sent", *_AT),
    "opened": _message("opened", "e-mail that was opened", "opened_at", "last_opened_at"),
    "clicked": _message("clicked", "e-mail with a click", "clicked_at"),
    "replied": _message("replied", "e-mail that was answered", "replied_at"),
    "auto_replied": _message("auto_replied", "e-mail with an automatic reply", "replied_at"),
    "positive_reply": _message("positive_reply", "e-mail with a positive reply", "replied_at"),
    "bounced": _message("bounced", "e-mail that bounced", "bounced_at", "failed_at"),
    "unsubscribed": _message("unsubscribed", "e-mail with an opt-out", "unsubscribed_at"),
    "spam_complaint": _message("spam_complaint", "e-mail marked as spam", "spam_blocked_at"),
    "meeting_held": _message("meeting_held", "e-mail that led to a demo", "demoed_at"),
}
_EVENT: Final = ("event_type", "event", "event_name", "trigger", "action")


def _refine(record: Record, data: dict[str, Any]) -> None:
    if data.get("action") == "replied":
        if (
            is_auto_reply(record, ("reply_subject",))
            or normalize_term(record.find_text("reply_class") or "") == "out_of_office"
        ):
            data["action"] = "auto_replied"


HOOK: Final = outcome(
    "webhook of a workflow",
    record="event",
    key=(
        "event_id|id|emailer_message_id|contact_id|contact.id|email|contact.email",
        "|".join(_EVENT),
        "@time",
    ),
    person=_PERSON,
    time=(*_HAPPENED, *_AT, "created_at"),
    action=choice(WORDS, *_EVENT),
    more={**_MORE, "deal": field("text", "deal_id", "opportunity_id")},
    refine=_refine,
    ignored=_LEFT_OUT,
)
DEALS: Final = describe_deals(
    DealPaths(
        id=("id", "opportunity_id"),
        subject=COMPANY,
        known_as=(*COMPANY_NAME, "account_id"),
        opened=("created_at",),
        closed=("actual_close_date", "closed_date", "last_activity_date", "updated_at"),
        amount=("amount", "amount_in_team_currency"),
        currency=("currency.iso_code", "currency_iso_code", "currency"),
        stage=("stage_name", "opportunity_stage.name", "opportunity_stage_id"),
        reason=("closed_lost_reason",),
    )
)
_IGNORED: Final = {
    "contact": "a contact is no outcome",
    "task": "tasks are yours",
    "a message that is scheduled, drafted or failed": "nothing was sent",
}


def _is_true(record: Record, *names: str) -> bool:
    return str(record.find(*names)).lower() in ("true", "1", "yes")


def _choose(one: Mapping[str, Any], context: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    event = record.find_text(*_EVENT)
    inner = record.find("data", "payload")
    if isinstance(inner, Mapping) and not record.has("id", "emailer_campaign_id", "contact"):
        yield from _choose({**{name: value for name, value in one.items() if name not in ("data", "payload")}, **inner}, context)  # fmt: skip
    elif event is not None and normalize_term(event) in WORDS:
        yield HOOK, one
    elif record.has("emailer_campaign_id", "reply_class", "to_email", "emailer_step_id"):
        yield from _read_message(one, record)
    elif record.has(
        "stage_name", "opportunity_stage_id", "is_won", "opportunity_pipeline_id", "opportunity_stage"
    ):
        yield from _read_deal(one, record)
    elif event is not None:
        yield unknown(event, "event_type")
    elif record.has("email", "first_name", "contact_emails"):
        yield ignored("contact", _IGNORED["contact"], "id")
    else:
        yield unknown("a record of another type", "id")


def _read_message(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    status = normalize_term(record.find_text("status") or "")
    found: list[str] = []
    if status in ("completed", "delivered", "sent", "opened", "replied", "bounced") or (
        not status and record.find("completed_at", "sent_at") is not None
    ):
        found.append("sent")
    if _is_true(record, "opened", "is_opened") or (
        isinstance(opens := record.find("num_opens"), int) and opens > 0
    ):
        found.append("opened")
    if _is_true(record, "clicked", "is_clicked") or (
        isinstance(clicks := record.find("num_clicks"), int) and clicks > 0
    ):
        found.append("clicked")
    reply = normalize_term(record.find_text("reply_class") or "")
    if reply in REPLIES:
        found.extend(REPLIES[reply])
    elif _is_true(record, "replied") or status == "replied":
        found.append("auto_replied" if is_auto_reply(record, ("reply_subject",)) else "replied")
    if _is_true(record, "bounce", "bounced") or status == "bounced":
        found.append("bounced")
    if _is_true(record, "unsubscribed") and "unsubscribed" not in found:
        found.append("unsubscribed")
    if _is_true(record, "marked_as_spam"):
        found.append("spam_complaint")
    if _is_true(record, "demoed"):
        found.append("meeting_held")
    for action in found:
        yield MESSAGES[action], one
    if not found:
        yield ignored(
            f"e-mail that is {status or 'not sent'}",
            _IGNORED["a message that is scheduled, drafted or failed"],
            "status",
        )


def _read_deal(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    if _is_true(record, "is_deleted", "deleted"):
        yield from DEALS.deleted(one)
        return
    yield DEALS.opened, one
    if DEALS.result(record) is not None:
        yield DEALS.closed, one
    elif record.find("stage_changed_at", "stage_updated_at") is not None:
        yield from DEALS.changed(
            {**one, MOVED: record.find("stage_changed_at", "stage_updated_at")}, reopens=True
        )


ADAPTER: Final = Adapter(
    name="apollo",
    title="Apollo",
    reads="e-mails of sequences (`emailer_messages`) and deals of the interface, and webhooks of workflows",
    tables=(*MESSAGES.values(), HOOK, *DEALS.tables),
    split=split_by(_choose, "emailer_messages", "emailer_message", "opportunities", "opportunity", "events"),
    ignored=_IGNORED,
    notes="Apollo sends no webhook for engagement of its own: read `emailer_messages/search`, or let a workflow send `event_type` (such as "
    "`email_replied`, `email_bounced`, `meeting_booked`), `email`, `timestamp`, `sequence_id` and `resegment_key`. The class of a reply says whether it "
    "is positive (`willing_to_meet`, `follow_up_question`); out of office is `auto_replied`, which is no reply.",
)
