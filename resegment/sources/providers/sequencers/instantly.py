"""Instantly: webhooks about e-mails and the status of leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.normalizers.auto_replies import is_auto_reply
from resegment.sources.providers.sequencers.outcomes import LABELS, outcome

EVENTS: Final = {
    "email_sent": "sent",
    "email_opened": "opened",
    "email_link_clicked": "clicked",
    "link_clicked": "clicked",
    "reply_received": "replied",
    "auto_reply_received": "auto_replied",
    "lead_out_of_office": "auto_replied",
    "email_bounced": "bounced",
    "lead_unsubscribed": "unsubscribed",
    "lead_interested": "positive_reply",
    "lead_meeting_booked": "meeting_booked",
    "lead_meeting_completed": "meeting_held",
    "lead_closed": "won",
    "lead_won": "won",
    "lead_lost": "lost",
}
_WORDS: Final = {**LABELS, **EVENTS}
_IGNORED: Final = {
    "account_error": "an error of your own mailbox",
    "campaign_completed": "the end of a campaign is no outcome",
    "campaign_completed_for_lead_without_reply": "the end of a campaign is no outcome",
    "lead_neutral": "a status without an outcome; the reply itself is an event of its own",
    "lead_not_interested": "a status without an outcome; the reply itself is an event of its own",
    "lead_wrong_person": "a status without an outcome; the reply itself is an event of its own",
    "lead_no_show": "a meeting that nobody came to",
    "supersearch_enrichment_completed": "about your own search",
}
_PERSON: Final = ("lead_email", "email", "lead.email")


def _refine(record: Record, data: dict[str, Any]) -> None:
    if data.get("action") == "replied" and is_auto_reply(record, ("reply_subject",)):
        data["action"] = "auto_replied"


LEAD: Final = outcome(
    "webhook about a lead",
    record="lead",
    key=("event_type", "campaign_id|campaign", "|".join(_PERSON), "email_id|step", "@time"),
    person=_PERSON,
    time=("timestamp", "timestamp_created"),
    action=choice(_WORDS, "event_type"),
    more={
        "sequence": field("text", "campaign_id", "campaign"),
        "sequence_name": field("text", "campaign_name"),
        "step": field("number", "step"),
    },
    refine=_refine,
    ignored=listed(
        "workspace, email_account, unibox_url, variant, is_first, email_subject, email_text, email_html, reply_text_snippet, "
        "reply_subject, reply_text, reply_html"
    ),
)


def _choose(one: Mapping[str, Any], context: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    inner = record.find("payload", "body")
    if isinstance(inner, Mapping) and record.find("lead_email") is None and Record(inner).has("event_type"):
        yield from _choose(inner, context)
        return
    event = record.find_text("event_type")
    term = normalize_term(event or "")
    if term in _IGNORED:
        yield ignored(term, _IGNORED[term], "event_type")
    elif term in _WORDS:
        yield LEAD, one
    else:
        yield unknown(event, "event_type")


ADAPTER: Final = Adapter(
    name="instantly",
    title="Instantly",
    reads="webhooks, and the list of webhook events of the interface (v2)",
    tables=(LEAD,),
    split=split_by(_choose, "items"),
    ignored=_IGNORED,
    notes="A label of your own comes as the `event_type`: those that mean an outcome (`Meeting Booked`, `Do Not Contact`) are read, "
    "another one is refused as `unknown-type`. Out of office is `auto_replied`, which is no reply. Give the lead a custom variable "
    "`resegment_key`, and it comes back as `idempotency_key`. Instantly signs nothing: set a header with a secret on the webhook.",
)
