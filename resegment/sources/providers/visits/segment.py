"""Segment and RudderStack: track, page, screen, group and identify calls, and the tables of their warehouses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.shapes import ATTRIBUTES
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.adapters.tables import Table

_EMAILS: Final = listed(
    "properties.company_domain, properties.domain, traits.company.domain, traits.company.website, "
    "context.traits.company.domain, context.traits.company.website, context.groupTraits.domain, "
    "context.groupTraits.website, properties.email, traits.email, context.traits.email, email, "
    "context_traits_email, company_domain, context_traits_company_domain, userId, user_id"
)
_GROUPS: Final = listed(
    "context.groupId, properties.groupId, context_group_id, groupId, group_id, properties.company_id, "
    "traits.company.id"
)
_TIME: Final = listed(
    "timestamp, originalTimestamp, original_timestamp, sentAt, sent_at, receivedAt, received_at"
)
_RECEIVED: Final = ("receivedAt", "received_at", "loaded_at")
_ID: Final = ("messageId|message_id|id",)
_PERSON: Final = listed(
    "userId, user_id, properties.email, context.traits.email, email, anonymousId, anonymous_id"
)
_IGNORED: Final = listed(
    "channel, context, integrations, library, version, writeKey, projectId, originalTimestamp, "
    "sentAt, sent_at, type, rudderId, anonymousId, anonymous_id, metadata, _metadata, uuid, uuid_ts, "
    "loaded_at, context_ip, context_user_agent, context_library_name, context_library_version, "
    "context_campaign_source, context_campaign_medium, context_campaign_name, context_campaign_term, "
    "context_campaign_content, context_locale, context_page_path, context_page_referrer, "
    "context_page_search, context_page_title, event_text, request_ip"
)

_ACTIONS: Final = {
    "page_viewed": "page_view", "viewed_page": "page_view", "page_view": "page_view", "loaded_a_page": "page_view", "pageview": "page_view",
    "content_downloaded": "content_download", "downloaded_content": "content_download", "whitepaper_downloaded": "content_download",
    "ebook_downloaded": "content_download", "asset_downloaded": "content_download", "file_downloaded": "content_download",
    "webinar_attended": "webinar", "webinar_registered": "webinar", "registered_for_webinar": "webinar", "attended_webinar": "webinar",
    "demo_requested": "demo_request", "requested_demo": "demo_request", "requested_a_demo": "demo_request", "demo_booked": "demo_request",
    "request_demo": "demo_request", "signed_up": "product_signup", "signup": "product_signup", "sign_up": "product_signup", "user_signed_up": "product_signup",
    "account_created": "product_signup", "trial_started": "product_signup", "product_active": "product_active", "signed_in": "product_active",
    "logged_in": "product_active", "user_signed_in": "product_active", "session_started": "product_active", "feature_used": "product_feature",
    "product_feature_used": "product_feature", "unsubscribed": "unsubscribe", "email_unsubscribed": "unsubscribe", "resubscribed": "resubscribed",
    "email_marked_as_spam": "spam_complaint",
}  # fmt: skip
"""What common names of events mean in the contract. Another name is the action, in its normal spelling."""


def _track_data(record: Record, data: dict[str, Any]) -> None:
    feature = record.find_text("properties.feature", "properties.feature_name")
    if feature is not None:
        data["feature"] = feature


_CALL: Final = Envelope(
    record="",
    key=_ID,
    known_as=_GROUPS,
    subject=_EMAILS,
    time=_TIME,
    recorded=_RECEIVED,
    utc=True,
    identity="event",
)
"""The envelope of a call that says what somebody did."""
TRACK: Final = Table(
    name="track call",
    kind="engagement",
    envelope=_CALL,
    data={
        "action": choice(_ACTIONS, "event", "event_text"),
        "url": field("text", "properties.url, context.page.url, context_page_url, url"),
        "person": field("text", *_PERSON),
        "persona": field(
            "text", "context.traits.title, traits.title, properties.title, context_traits_title"
        ),
    },
    required=("action",),
    ignored=(*_IGNORED, "properties"),
    refine=_track_data,
)
PAGE: Final = Table(
    name="page call",
    kind="engagement",
    envelope=_CALL,
    data={
        "url": field(
            "text", "properties.url, context.page.url, url, context_page_url, properties.path, path"
        ),
        "page": field("text", "name, properties.name, properties.title, title"),
        "person": field("text", *_PERSON),
    },
    constants={"action": "page_view"},
    ignored=(
        *_IGNORED,
        *listed("properties, category, search, referrer"),
    ),
)
_TRAITS: Final = {
    name: field(one.type, *(f"traits.{path}" for path in one.paths), *one.paths)
    for name, one in ATTRIBUTES.items()
}
GROUP: Final = Table(
    name="group call",
    kind="firmographic",
    envelope=Envelope(
        record="group",
        learns=("groupId", "group_id"),
        key=("groupId|group_id|messageId|id",),
        known_as=listed("groupId, group_id, traits.name, name"),
        subject=listed(
            "traits.domain, traits.website, traits.company_domain, traits.email, website, domain, groupId, "
            "group_id"
        ),
        time=_TIME,
        recorded=_RECEIVED,
        utc=True,
        identity="snapshot",
    ),
    data={
        **_TRAITS,
        "plan": field("text", "traits.plan", "plan"),
    },
    ignored=(*_IGNORED, "traits", "userId", "user_id"),
)
IDENTIFY: Final = Table(
    name="identify call with a company",
    kind="firmographic",
    envelope=Envelope(
        record="identify",
        key=_ID,
        known_as=("traits.company.id", "traits.company.name", "context.traits.company.id"),
        subject=listed(
            "traits.company.domain, traits.company.website, traits.company.url, traits.email, email, userId"
        ),
        time=_TIME,
        recorded=_RECEIVED,
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "traits.company.name"),
        "industry": field("text", "traits.company.industry"),
        "employees": field(
            "count", "traits.company.employee_count, traits.company.employees, traits.company.size"
        ),
        "plan": field("text", "traits.company.plan"),
    },
    ignored=(*_IGNORED, "traits", "userId", "user_id"),
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    kind = normalize_term(str(record.find("type", "action_type") or ""))
    if not kind:
        kind = _kind_of_row(record)
    if kind == "track":
        yield TRACK, one
    elif kind in ("page", "screen"):
        yield PAGE, one
    elif kind == "group":
        yield GROUP, one
    elif kind == "identify":
        if isinstance(record.find("traits.company"), Mapping):
            yield IDENTIFY, one
        else:
            yield ignored("identify", "it names a person and no attribute of a company", "traits")
    elif kind in ("alias", "delete", "merge"):
        yield ignored(kind, "it links identities of persons", "type")
    else:
        yield unknown(kind or "a call without a type", "type")


def _kind_of_row(record: Record) -> str:
    """Return the call of a row of a warehouse's table."""
    if record.has("event", "event_text"):
        return "track"
    if record.has("groupId", "group_id"):
        return "group"
    if record.has("path", "url", "context_page_url"):
        return "page"
    return ""


_TABLES: Final = (TRACK, PAGE, GROUP, IDENTIFY)
_READS: Final = "track, page, screen, group and identify calls (JSON, also in a batch), and the warehouse tables tracks and pages"
_NOTES: Final = (
    "The account is that of the company's domain, or of the person's e-mail address, or else what `--domains` gives for the group. "
    "Common names of events become actions of the contract (`Demo Requested` is `demo_request`); another name is the action itself."
)
_CALLS: Final = {
    "identify without traits.company": "it names a person",
    "alias": "it links identities of persons",
}

ADAPTER: Final = Adapter(
    name="segment",
    title="Segment",
    reads=_READS,
    tables=_TABLES,
    split=split_by(_choose, "batch"),
    ignored=_CALLS,
    notes=_NOTES,
)
