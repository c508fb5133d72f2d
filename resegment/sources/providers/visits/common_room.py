"""Common Room: webhooks about members who changed their job, and about activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, label_of
from resegment.sources.adapters.splitting import Pair, objects, unknown
from resegment.sources.adapters.tables import Table

_PERSON: Final = listed("fullName, full_name, name, primaryEmail, primary_email, email, linkedinUrl, id")
_LEFT_OUT: Final = listed(
    "id, type, payload, organization, previousOrganization, location, socialProfiles, avatarUrl, "
    "segments, tags, bio, emails, sources, event, linkedinUrl, url, leadScores"
)
_NOW: Final = listed(
    "organization.domain, organization.website, organization.primaryDomain, organizationDomain, "
    "primaryEmail, primary_email, email"
)
_CHANGED: Final = listed(
    "organizationChangeDate, organization_change_date, titleChangeDate, jobChangeDate, changeDate, "
    "timestamp, occurredAt, updatedAt"
)

JOINED: Final = Table(
    name="member who joined or was promoted",
    kind="leadership",
    envelope=Envelope(
        record="member",
        key=(
            "id|primaryEmail|primary_email|email|linkedinUrl|fullName|name",
            "@time",
        ),
        known_as=("organization.name", "organization.id", "organization"),
        subject=_NOW,
        time=_CHANGED,
        recorded=("timestamp", "sentAt", "updatedAt"),
        utc=True,
    ),
    data={
        "title": field("leader", "title, jobTitle, newTitle"),
        "person": field("text", *_PERSON),
        "previous_company": field("text", "previousOrganization.name", "previousOrganization"),
        "previous_title": field("text", "previousTitle"),
    },
    ignored=_LEFT_OUT,
    refine=lambda record, data: data.update(change=_change(record)),
)
LEFT: Final = Table(
    name="member who left",
    kind="leadership",
    envelope=Envelope(
        record="member-left",
        key=(
            "id|primaryEmail|primary_email|email|linkedinUrl|fullName|name",
            "@time",
        ),
        known_as=("previousOrganization.name", "previousOrganization.id", "previousOrganization"),
        subject=listed(
            "previousOrganization.domain, previousOrganization.website, previousOrganization.primaryDomain, "
            "previousOrganizationDomain"
        ),
        time=_CHANGED,
        recorded=("timestamp", "sentAt", "updatedAt"),
        utc=True,
    ),
    data={
        "title": field("leader", "previousTitle"),
        "person": field("text", *_PERSON),
        "next_company": field("text", "organization.name", "organization"),
    },
    constants={"change": "left"},
    ignored=(*_LEFT_OUT, "title", "jobTitle"),
)
ACTIVITY: Final = Table(
    name="activity of a member",
    kind="engagement",
    envelope=Envelope(
        record="activity",
        key=("activity.id|activityId|id",),
        known_as=("organization.name", "member.organization.name"),
        subject=listed(
            "organization.domain, member.organization.domain, member.primaryEmail, primaryEmail, email"
        ),
        time=listed("activity.timestamp, activity.occurredAt, timestamp, occurredAt, createdAt"),
        utc=True,
    ),
    data={
        "action": field("term", "activity.type, activityType, activity.activityType, activityTypeName"),
        "url": field("text", "activity.url", "url"),
        "person": field("text", "member.fullName", "member.primaryEmail", *_PERSON),
        "persona": field("text", "member.title", "title"),
    },
    required=("action",),
    ignored=(*_LEFT_OUT, "activity", "member", "content"),
)


def _change(record: Record) -> str:
    """Say whether the member joined the organization, or has a new title at the same one."""
    previous = label_of(record.find("previousOrganization"))
    current = label_of(record.find("organization"))
    same = (
        previous is not None and current is not None and normalize_term(previous) == normalize_term(current)
    )
    titled = record.find("previousTitle") is not None
    return "promoted" if titled and (same or previous is None) else "joined"


def _split(payload: Any, context: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "members", "items", "data"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        record = Record(one)
        inner = record.find("payload", "member")
        if isinstance(inner, Mapping | list) and not record.has("activity", "activityType"):
            outer = {
                key: value
                for key, value in one.items()
                if key not in ("payload", "member") and not isinstance(value, Mapping | list)
            }
            for each in inner if isinstance(inner, list) else [inner]:
                if isinstance(each, Mapping):
                    yield from _choose({**outer, **each}, context)
                else:
                    yield RefusedEvent("wrong-payload", "an object is expected", field="payload")
        else:
            yield from _choose(one, context)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    if record.has("activity", "activityType", "activityTypeName"):
        yield ACTIVITY, one
    elif record.has(
        "previousTitle", "previousOrganization", "organizationChangeDate", "titleChangeDate", "jobChangeDate"
    ):
        yield JOINED, one
        if record.find("previousOrganization") is not None and _change(record) == "joined":
            yield LEFT, one
    else:
        yield unknown(record.find_text("type", "event") or "a member without a change", "type")


ADAPTER: Final = Adapter(
    name="common-room",
    title="Common Room",
    reads="webhooks about job changes and activities of members",
    tables=(JOINED, LEFT, ACTIVITY),
    split=_split,
    notes="A new organization gives `joined` at the new one and `left` at the previous one; a new title at the same one gives `promoted`.",
)
