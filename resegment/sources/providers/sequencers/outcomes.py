"""What the adapters of sequencers share: the words for outcomes, and the parts of an outcome that all of them tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Envelope, Op
from resegment.sources.adapters.fields import Field, field, listed
from resegment.sources.adapters.port import Item
from resegment.sources.adapters.records import Record, as_list, as_text
from resegment.sources.adapters.splitting import Pair, ignored
from resegment.sources.adapters.tables import Table

KEY: Final = (
    "resegment_key",
    "Resegment_Key__c",
    *(
        f"{one}.resegment_key"
        for one in listed(
            "custom_variables, custom_fields, customFields, variables, payload, lead, lead.custom_fields, lead.variables, "
            "lead_data, lead_data.custom_fields, contact, contact.custom_fields, contact.typed_custom_fields, fields"
        )
    ),
)
"""Where the key that an enrollment gave to the person comes back."""
COMPANY: Final = listed(
    "company_domain, companyDomain, company_website, companyWebsite, company_url, website, website_url, domain, "
    "lead_data.company_url, lead_data.website, lead.company_url, lead.website, lead.company_domain, "
    "contact.organization.primary_domain, contact.organization.website_url, contact.account.domain, account.domain, "
    "account.website_url, organization.primary_domain, organization.website_url, custom_variables.company_domain"
)
COMPANY_NAME: Final = listed(
    "company_name, companyName, company.name, lead.company_name, lead_data.company_name, organization_name, "
    "contact.organization_name, account_name, account.name, organization.name"
)

LABELS: Final = {
    "interested": "positive_reply",
    "very_interested": "positive_reply",
    "positive": "positive_reply",
    "positive_reply": "positive_reply",
    "information_request": "positive_reply",
    "info_requested": "positive_reply",
    "more_info": "positive_reply",
    "willing_to_meet": "positive_reply",
    "follow_up_question": "positive_reply",
    "meeting_request": "positive_reply",
    "meeting_requested": "positive_reply",
    "demo_requested": "positive_reply",
    "referral": "positive_reply",
    "meeting_booked": "meeting_booked",
    "meeting_scheduled": "meeting_booked",
    "meeting_set": "meeting_booked",
    "demo_booked": "meeting_booked",
    "demo_scheduled": "meeting_booked",
    "demo_set": "meeting_booked",
    "call_booked": "meeting_booked",
    "meeting_completed": "meeting_held",
    "meeting_held": "meeting_held",
    "demo_completed": "meeting_held",
    "out_of_office": "auto_replied",
    "ooo": "auto_replied",
    "auto_reply": "auto_replied",
    "automatic_reply": "auto_replied",
    "do_not_contact": "unsubscribed",
    "do_not_call": "unsubscribed",
    "unsubscribe": "unsubscribed",
    "unsubscribed": "unsubscribed",
    "opted_out": "unsubscribed",
    "remove_me": "unsubscribed",
    "sender_originated_bounce": "bounced",
    "bounced": "bounced",
    "closed_won": "won",
    "won": "won",
    "closed_lost": "lost",
    "lost": "lost",
}
"""What the labels mean that people and models put on replies, on leads and on calls. Others are no outcome."""

WORDS: Final = {
    **LABELS,
    "sent": "sent", "email_sent": "sent", "message_sent": "sent", "email_delivered": "sent", "delivered": "sent",
    "opened": "opened", "open": "opened", "email_opened": "opened", "email_open": "opened",
    "clicked": "clicked", "click": "clicked", "email_clicked": "clicked", "email_link_clicked": "clicked",
    "link_clicked": "clicked",
    "replied": "replied", "reply": "replied", "email_replied": "replied", "email_reply": "replied", "reply_received": "replied",
    "auto_replied": "auto_replied", "auto_reply_received": "auto_replied",
    "bounce": "bounced", "email_bounced": "bounced", "email_bounce": "bounced",
    "email_unsubscribed": "unsubscribed", "contact_unsubscribed": "unsubscribed", "lead_unsubscribed": "unsubscribed",
    "spam": "spam_complaint", "spam_complaint": "spam_complaint", "marked_as_spam": "spam_complaint",
    "resubscribed": "resubscribed",
    "demoed": "meeting_held", "meeting_created": "meeting_booked", "meeting_attended": "meeting_held",
    "opportunity_created": "opportunity_created", "deal_created": "opportunity_created", "deal_won": "won", "deal_lost": "lost",
    "renewed": "renewed", "churned": "churned",
}  # fmt: skip
"""The plain names of events, where a tool lets you choose them."""


def read_label(text: str | None) -> str | None:
    """Return the outcome that a label means; None for one that means none."""
    return None if text is None else LABELS.get(normalize_term(text))


def _no_change(_: Record, data: dict[str, Any]) -> None:
    """Leave the data as it is."""


def outcome(
    name: str,
    *,
    record: str,
    key: tuple[str, ...],
    person: tuple[str, ...],
    time: tuple[str, ...],
    action: str | Field,
    more: Mapping[str, Field],
    subject: tuple[str, ...] | None = None,
    known_as: tuple[str, ...] = COMPANY_NAME,
    learns: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
    channel: str | None = "email",
    refine: Callable[[Record, dict[str, Any]], None] = _no_change,
    op: Callable[[Record], Op] = lambda _: "assert",
    recorded: tuple[str, ...] = (),
    withdrawn: tuple[str, ...] | None = None,
    ignored: tuple[str, ...] = (),
) -> Table:
    """Return the table of outcomes of one type of record. The account is the domain of the person, or else of the company.

    A private mailbox says nothing of the company, so the company's domain or name comes then. `more` has the fields beside
    the person and the key, such as `sequence`.
    """

    def clean(given: Record, data: dict[str, Any]) -> None:
        data.pop("action_raw", None)
        refine(given, data)

    constants: dict[str, Any] = {} if channel is None else {"channel": channel}
    data: dict[str, Field] = {}
    if isinstance(action, str):
        constants["action"] = action
    else:
        data["action"] = action
    return Table(
        name=name,
        kind="outcome",
        envelope=Envelope(
            record=record,
            key=key,
            learns=learns,
            own=own,
            known_as=known_as,
            subject=(*person, *COMPANY) if subject is None else subject,
            time=time,
            recorded=recorded,
            withdrawn=time if withdrawn is None else withdrawn,
            utc=True,
            op=op,
        ),
        data={**data, "person": field("person", *person), **more, "idempotency_key": field("text", *KEY)},
        constants=constants,
        ignored=ignored,
        required=("action",),
        refine=clean,
    )


_WHY: Final = "it tells the domain of an id, and no outcome"
_KNOWN_AT: Final = "known_at"


def _only_known(_: Record, __: dict[str, Any]) -> None:
    raise RefusedEvent("ignored", _WHY, field="id")


def know(
    name: str, *, subject: tuple[str, ...], learns: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], Iterator[Pair | Item]]:
    """Return a reader of records that give no outcome, but tell the domains of ids that other records name."""
    table = outcome(
        name,
        record="known",
        key=learns,
        person=(),
        subject=subject,
        known_as=learns,
        learns=learns,
        time=(_KNOWN_AT,),
        action="none",
        more={},
        refine=_only_known,
    )

    def read(row: Mapping[str, Any]) -> Iterator[Pair | Item]:
        for _, value in Record(row).find_all(*subject):
            for host in map(as_text, as_list(value)):
                try:
                    registrable_domain(host or "")
                except RefusedEvent:
                    continue
                yield table, {**row, _KNOWN_AT: "1970-01-02"}
                return
        yield ignored(name, _WHY, "id")

    return read
