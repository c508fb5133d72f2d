"""Salesloft: webhooks about e-mails, calls, meetings, successes and people, and the same records of the interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.envelope import Op
from resegment.sources.adapters.fields import Field, choice, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list, is_blank
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.adapters.tables import Table
from resegment.sources.providers.sequencers.outcomes import LABELS, know, outcome, read_label

_PERSON: Final = listed(
    "recipient_email_address, recipient_email, email_address, person.email_address, person_ref"
)
_HOSTS: Final = listed(
    "recipient_email_address, recipient_email, email_address, person.email_address, secondary_email_address, "
    "person_company_website, account.domain, account.website, domain, website"
)
_KNOWN: Final = ("person_ref", "account_ref", "person_company_name")
_MORE: Final[dict[str, Field]] = {
    "sequence": field("text", "cadence.id", "latest_cadence.id"),
    "sequence_name": field("text", "cadence.name", "latest_cadence.name"),
    "step": field("text", "step.id", "latest_step.id"),
}
_LEFT_OUT: Final = listed(
    "user, subject, body, personalization, crm_activity, email_template, mailing, headers, action, task, counts, "
    "error_message, view_tracking, click_tracking, title, description, location, calendar_id, booked_by_user, attendees, guests"
)


def _table(action: str, name: str, *times: str, more: Mapping[str, Field] = _MORE, **rest: Any) -> Table:
    return outcome(
        name,
        record=rest.pop("record", f"email-{action}"),
        key=rest.pop("key", ("id",)),
        person=_PERSON,
        subject=_HOSTS,
        known_as=_KNOWN,
        time=(*times, "updated_at", "created_at"),
        action=rest.pop("chosen", action),
        more=more,
        ignored=_LEFT_OUT,
        **rest,
    )


SENT: Final = _table("sent", "e-mail that was sent", "sent_at")
BOUNCED: Final = _table("bounced", "e-mail that bounced")
COUNTED: Final = {
    "views": _table("opened", "e-mail that was opened", key=("id", "counts.views")),
    "clicks": _table("clicked", "e-mail with a click", key=("id", "counts.clicks")),
    "replies": _table("replied", "e-mail that was answered", key=("id", "counts.replies")),
}


def _is_canceled(record: Record) -> Op:
    return "retract" if record.find("canceled_at") is not None else "assert"


MEETING: Final = _table(
    "meeting_booked", "meeting", "created_at", record="meeting", channel="meeting", op=_is_canceled,
    recorded=("updated_at",), withdrawn=("canceled_at", "updated_at"),
    more={**_MORE, "starts_at": field("time", "start_time")},
)  # fmt: skip
SUCCESS: Final = _table("positive_reply", "success", "succeeded_at", record="success", channel=None)
OPTED_OUT: Final = _table(
    "unsubscribed", "person not to contact", record="person-opt-out", more={}, learns=("person_ref",)
)
BOUNCING: Final = _table(
    "bounced", "person whose address bounces", record="person-bouncing", more={}, learns=("person_ref",)
)
CALL: Final = _table(
    "call", "call", record="call", channel="phone", chosen=choice(LABELS, "sentiment", "disposition"),
    more={**_MORE, "reason": field("text", "sentiment", "disposition")},
    refine=lambda record, data: data.update(action=_read_call(record)),
)  # fmt: skip


_KNOW: Final = know("person or account", subject=_HOSTS, learns=("person_ref", "account_ref"))
_IGNORED: Final = {
    "cadence": "about your own cadence",
    "cadence_membership": "no answer of the person",
    "step": "about your own cadence",
    "task": "tasks are yours",
    "note": "notes give no event",
    "user": "users are your own",
    "bulk_job": "about your own import",
    "call_data_record": "the call is a record of its own",
    "conversation": "recordings give no event",
    "conversation_recording": "recordings give no event",
    "conversation_transcript": "recordings give no event",
    "link_swap": "about your own links",
    "person_deleted": "Salesloft deletes records, not people",
    "account_deleted": "Salesloft deletes records, not companies",
}


def _read_call(record: Record) -> str | None:
    found = (read_label(record.find_text("sentiment")), read_label(record.find_text("disposition")))
    return next((one for one in found if one is not None), None)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    event = normalize_term(record.find_text("event_type", "event") or "")
    inner = record.find("data", "payload")
    if isinstance(inner, Mapping | list) and not record.has("id"):
        found = False
        for each in as_list(inner):
            if isinstance(each, Mapping):
                found = True
                yield from _read(each, event)
        if not found:
            yield RefusedEvent("wrong-payload", "a record is an object", field="data")
    else:
        yield from _read(one, event)


def _read(one: Mapping[str, Any], event: str) -> Iterator[Pair | Item]:
    record = Record(one)
    kind = _find_kind(record, event)
    row = _with_names(one, record, kind)
    if event.startswith(("link_swap", "bulk_job")) or kind in _IGNORED:
        yield ignored(event or kind, _IGNORED.get(kind, "no answer of the person"), "event_type")
    elif event.endswith("_deleted"):
        yield ignored(event, "Salesloft deletes records, not what happened", "event_type")
    elif kind == "email":
        yield from _read_email(row)
    elif kind == "meeting":
        yield from _read_meeting(row)
    elif kind == "success":
        yield SUCCESS, row
    elif kind == "call":
        meant = _read_call(record)
        if meant is None:
            yield ignored("call", "neither its sentiment nor its disposition means an outcome", "sentiment")
        else:
            yield CALL, row
    elif kind == "person":
        yield from _read_person(row)
    elif kind == "account":
        yield from _KNOW(row)
    else:
        yield unknown(event or "a record of another type", "event_type")


_KINDS: Final = (
    ("email", ("recipient_email_address", "email_template", "personalization", "click_tracking")),
    ("meeting", ("i_cal_uid", "calendar_id", "meeting_type", "booked_by_user")),
    ("success", ("succeeded_at", "success_window_started_at")),
    ("cadence_membership", ("currently_on_cadence", "person_deleted")),
    ("call_data_record", ("call_uuid", "call_type")),
    ("call", ("disposition", "sentiment", "called_person")),
    ("task", ("task_type", "current_state")),
    ("person", ("email_address", "do_not_contact", "contact_restrictions")),
    ("account", ("company_stage", "account_tier", "domain")),
    ("cadence", ("cadence_function", "team_cadence")),
    ("step", ("step_number", "multitouch_enabled")),
    ("note", ("associated_with", "associated_type")),
    ("user", ("sending_email_address", "guid")),
    ("bulk_job", ("ready_to_execute", "marked_ready_at")),
)
"""Fields by which a record shows its type, where the header with the type is not known."""


def _find_kind(record: Record, event: str) -> str:
    for suffix in ("_created", "_updated", "_deleted", "_booked", "_completed", "_with_body_and_subject"):
        event = event.removesuffix(suffix)
    if event:
        return event
    return next((kind for kind, marks in _KINDS if record.has(*marks)), "")


def _with_names(one: Mapping[str, Any], record: Record, kind: str) -> dict[str, Any]:
    """Return the record with names for the ids of its person and account."""
    person = (
        record.find_text("id")
        if kind == "person"
        else record.find_text("recipient.id", "person.id", "called_person.id")
    )
    account = record.find_text("id") if kind == "account" else record.find_text("account.id", "account_id")
    row = dict(one)
    if person is not None:
        row["person_ref"] = f"person-{person}"
        row["person_id_text"] = f"salesloft:person-{person}"
    if account is not None:
        row["account_ref"] = f"account-{account}"
    return row  # fmt: skip


def _read_email(row: Mapping[str, Any]) -> Iterator[Pair | Item]:
    record = Record(row)
    found: list[Table] = []
    status = (record.find_text("status") or "").lower()
    if record.find("sent_at") is not None or status in ("sent", "sent_from_gmail", "sent_from_external"):
        found.append(SENT)
    for name, table in COUNTED.items():
        count = record.find(f"counts.{name}")
        if isinstance(count, int | float) and not isinstance(count, bool) and count > 0:
            found.append(table)
    if str(record.find("bounced")).lower() == "true":
        found.append(BOUNCED)
    for table in found:
        yield table, row
    if not found:
        yield ignored(f"e-mail that is {status or 'not sent'}", "nothing was sent", "status")


def _read_meeting(row: Mapping[str, Any]) -> Iterator[Pair | Item]:
    status = (Record(row).find_text("status") or "booked").lower()
    if status in ("failed", "retry", "pending") and is_blank(row.get("canceled_at")):
        yield ignored(f"meeting that is {status}", "no meeting was booked", "status")
    else:
        yield MEETING, row


def _read_person(row: Mapping[str, Any]) -> Iterator[Pair | Item]:
    record = Record(row)
    restrictions = [str(one).lower() for one in as_list(record.find("contact_restrictions"))]
    if str(record.find("do_not_contact")).lower() == "true" or "email" in restrictions:
        yield OPTED_OUT, row
    elif str(record.find("bouncing")).lower() == "true":
        yield BOUNCING, row
    else:
        yield from _KNOW(row)


ADAPTER: Final = Adapter(
    name="salesloft",
    title="Salesloft",
    reads="webhooks, with the type of the event in the header `x-salesloft-event` or told by the fields, and records of the interface",
    tables=(SENT, *COUNTED.values(), BOUNCED, MEETING, SUCCESS, CALL, OPTED_OUT, BOUNCING),
    split=split_by(_choose),
    ignored=_IGNORED,
    notes="An e-mail carries counts of views, clicks and replies: each count is a fact, with the time of the update that shows it. A canceled "
    "meeting withdraws its `meeting_booked`. A success is a `positive_reply`. A call counts where its sentiment or disposition means an "
    "outcome, such as `Meeting Scheduled`. Give the person a custom field `resegment_key`, and it comes back as `idempotency_key` with "
    "events of the person.",
)
