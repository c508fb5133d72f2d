"""HubSpot's e-mail events: what recipients did, as outcomes of their companies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair
from resegment.sources.adapters.tables import Table
from resegment.sources.providers.crm.hubspot_words import EMAIL_ACTIONS, EMAIL_SKIPPED


def _email_data(record: Record, data: dict[str, Any]) -> None:
    kind = str(record.find("type", "eventType")).lower()
    if kind == "statuschange":
        status = str(record.find("portalSubscriptionStatus", "subscriptions.status")).lower()
        changed = f"{status} {record.find('source')}".lower()
        if "unsubscribed" not in changed:
            raise RefusedEvent("ignored", "a change of subscriptions that is no opt-out", field="type")
        data["action"] = "unsubscribed"
    if kind == "open" and str(record.find("filteredEvent", "filtered_event")).lower() == "true":
        raise RefusedEvent(
            "ignored", "an opening that HubSpot filtered out as a machine's", field="filteredEvent"
        )
    data.pop("action_raw", None)


EMAIL: Final = Table(
    name="e-mail event",
    kind="outcome",
    envelope=Envelope(
        record="",
        key=("id",),
        subject=("recipient", "recipient email", "email"),
        known_as=("recipient",),
        time=listed("created, created_at, timestamp, occurredAt"),
        recorded=(),
        utc=True,
        identity="event",
    ),
    data={
        "action": choice(EMAIL_ACTIONS, "type", "eventType"),
        "person": field("person", "recipient, recipient email, email"),
        "campaign": field("text", "emailCampaignId, email_campaign_id, campaignId"),
        "url": field("text", "url"),
        "bounce_category": field("text", "category"),
    },
    constants={"channel": "email"},
    ignored=listed(
        "appId, appName, app_id, portalId, portal_id, sentBy, sent_by_created, sent_by_id, causedBy, "
        "caused_by_created, caused_by_id, obsoletedBy, obsoleted_by_created, obsoleted_by_id, browser, "
        "location, userAgent, ipAddress, deviceType, duration, referer, linkId, hmid, smtpId, subject, "
        "from, replyTo, cc, bcc, attempt, response, status, dropReason, dropMessage, bounced, "
        "requestedBy, filteredEvent, filtered_event, _fivetran_synced, suppressedReason, "
        "suppressedMessage, subscriptions, portalSubscriptionStatus, source, sourceId"
    ),
    required=("action",),
    refine=_email_data,
)


def choose_email(flat: Mapping[str, Any], record: Record) -> Pair | Item:
    """Return the table of an e-mail event with it, or the refusal of one that says nothing of the account."""
    kind = str(record.find("type", "eventType")).lower()
    if kind in EMAIL_SKIPPED:
        return RefusedEvent(
            "ignored", f"an e-mail event {kind.upper()} says nothing of the account", field="type"
        )
    if kind not in EMAIL_ACTIONS:
        return RefusedEvent("unknown-type", f"{kind[:60]!r} is no known e-mail event", field="type")
    return EMAIL, flat
