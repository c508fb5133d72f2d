"""Outreach: webhooks about mailings, prospects, sequence states and opportunities, and the same records of the interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.fields import Field, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list, is_blank
from resegment.sources.adapters.splitting import Pair, ignored
from resegment.sources.adapters.tables import Table
from resegment.sources.providers.sequencers.deals import MOVED, DealPaths, describe_deals
from resegment.sources.providers.sequencers.outcomes import know, outcome

_PERSON: Final = ("prospect_email", "emails", "person")
_HOSTS: Final = ("prospect_email", "emails", "account_domain", "websiteUrl1", "domain", "companyDomain")
_KNOWN: Final = ("prospect_ref", "account_ref", "company")
_DELIVERED: Final = "delivered_to_us_at"
_MORE: Final[dict[str, Field]] = {
    "sequence": field("text", "sequence_id"),
    "sequence_name": field("text", "sequence_label"),
    "step": field("text", "sequence_step_id"),
}


def _mailing(action: str, name: str, *times: str) -> Table:
    return outcome(
        name,
        record=f"mailing-{action}",
        key=("id",),
        person=_PERSON,
        subject=_HOSTS,
        known_as=_KNOWN,
        time=(*times, "stateChangedAt", _DELIVERED, "updatedAt"),
        action=action,
        more=_MORE,
        ignored=listed("subject, bodyHtml, bodyText, mailboxAddress, messageId, state, meta"),
    )


MAILINGS: Final = {
    "delivered": ("deliveredAt", _mailing("sent", "mailing that was delivered", "deliveredAt")),
    "opened": ("openedAt", _mailing("opened", "mailing that was opened", "openedAt")),
    "clicked": ("clickedAt", _mailing("clicked", "mailing with a click", "clickedAt")),
    "replied": ("repliedAt", _mailing("replied", "mailing that was answered", "repliedAt")),
    "bounced": ("bouncedAt", _mailing("bounced", "mailing that bounced", "bouncedAt")),
    "unsubscribed": ("unsubscribedAt", _mailing("unsubscribed", "mailing with an opt-out", "unsubscribedAt")),
    "marked_as_spam": (
        "markedAsSpamAt",
        _mailing("spam_complaint", "mailing marked as spam", "markedAsSpamAt"),
    ),
}
"""What happens to a mailing: the action of the webhook, the field with its time, and the table."""


def _optout(action: str, name: str) -> Table:
    return outcome(
        name,
        record="prospect-opt-out",
        key=("id",),
        person=_PERSON,
        subject=_HOSTS,
        known_as=_KNOWN,
        learns=("prospect_ref",),
        time=(*(("optedOutAt", "emailsOptedOutAt") if action == "unsubscribed" else ()), "updatedAt", _DELIVERED),
        action=action,
        more={},
    )  # fmt: skip


OPTED_OUT: Final = _optout("unsubscribed", "prospect who opted out")
OPTED_IN: Final = _optout("resubscribed", "prospect who opted in again")


_KNOW: Final = know("prospect or account", subject=_HOSTS, learns=("prospect_ref", "account_ref"))


def _state(action: str, name: str) -> Table:
    return outcome(
        name,
        record=f"sequence-state-{action}",
        key=("id", "positiveReplyCount") if action == "positive_reply" else ("id", "@time"),
        person=_PERSON,
        subject=_HOSTS,
        known_as=_KNOWN,
        time=("repliedAt", "stateChangedAt", "updatedAt", _DELIVERED),
        action=action,
        more={"sequence": _MORE["sequence"], "sequence_name": _MORE["sequence_name"]},
    )


POSITIVE: Final = _state("positive_reply", "sequence state with a positive reply")
AWAY: Final = _state("auto_replied", "sequence state paused by an automatic reply")
DEALS: Final = describe_deals(
    DealPaths(
        id=("id",),
        subject=("account_domain", "prospect_email"),
        known_as=("account_ref", "prospect_ref"),
        opened=("externalCreatedAt", "createdAt", _DELIVERED),
        closed=("closeDate", "updatedAt", _DELIVERED),
        amount=("amount",),
        currency=("currencyType", "currency"),
        stage=("stage_label", "stageName"),
        reason=("lostReason",),
        updated=(_DELIVERED, "updatedAt"),
    )
)
_IGNORED: Final = {
    "call": "calls give no event",
    "task": "tasks are yours",
    "sequence": "about your own sequence",
    "sequenceStep": "about your own sequence",
    "sequenceTemplate": "about your own sequence",
    "template": "about your own template",
    "user": "users are your own",
    "mailbox": "about your own mailbox",
    "stage": "about your own stages",
    "opportunityStage": "about your own stages",
    "emailAddress": "an address is no outcome",
    "phoneNumber": "a number is no outcome",
    "event": "its meaning is not said",
    "kaiaRecording": "recordings give no event",
    "import": "imports are yours",
    "sequenceState created, advanced, finished": "no answer of the person",
    "mailing created, destroyed": "nothing was sent",
}


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in as_list(payload):
        if not isinstance(one, Mapping):
            yield RefusedEvent("wrong-payload", "an object is expected")
            continue
        included = _index(one.get("included"))
        meta = one.get("meta")
        found = as_list(one.get("data")) if "data" in one else [one]
        for resource in found:
            if isinstance(resource, Mapping):
                yield from _choose(resource, Record(meta if isinstance(meta, Mapping) else {}), included)
            else:
                yield RefusedEvent("wrong-payload", "a resource is an object", field="data")
        if not found:
            yield RefusedEvent("ignored", "no record", field="data")


def _index(included: Any) -> dict[tuple[str, str], Record]:
    found = {}
    for one in as_list(included):
        if isinstance(one, Mapping):
            record = Record(one)
            found[record.find_text("type") or "", record.find_text("id") or ""] = record
    return found


def _choose(
    resource: Mapping[str, Any], meta: Record, included: Mapping[tuple[str, str], Record]
) -> Iterator[Pair | Item]:
    record = Record(resource)
    event = meta.find_text("eventName", "event") or ""
    kind = record.find_text("type") or event.partition(".")[0]
    action = event.partition(".")[2]
    row = _flatten(record, meta, included, kind)
    if kind == "mailing":
        yield from _read_mailing(row, action, record)
    elif kind == "prospect":
        yield from _read_prospect(row, record)
    elif kind == "account":
        yield from _KNOW(row)
    elif kind == "sequenceState":
        yield from _read_state(row, record)
    elif kind == "opportunity":
        yield from _read_deal(row, action, record)
    elif kind in _IGNORED:
        yield ignored(event or kind, _IGNORED[kind], "type")
    else:
        yield RefusedEvent("unknown-type", f"{(event or kind)[:60]!r} is no known resource", field="type")


def _flatten(
    record: Record, meta: Record, included: Mapping[tuple[str, str], Record], kind: str
) -> dict[str, Any]:
    """Return the attributes of a resource, with the ids of the resources that it belongs to."""
    attributes = record.find("attributes")
    row: dict[str, Any] = dict(attributes) if isinstance(attributes, Mapping) else {}
    row["id"] = record.find_text("id")
    row[_DELIVERED] = meta.find("deliveredAt")
    prospect = _related(record, "prospect", "primaryProspect")
    account = _related(record, "account")
    stage = _related(record, "opportunityStage", "stage")
    if kind == "prospect":
        prospect = row["id"]
    elif kind == "account":
        account = row["id"]
        row["account_domain"] = row.get("domain") or row.get("websiteUrl")
    row["sequence_id"] = _related(record, "sequence")
    row["sequence_step_id"] = _related(record, "sequenceStep")
    if prospect is not None:
        row["prospect_ref"] = f"prospect-{prospect}"
        row["person"] = f"outreach:prospect-{prospect}"
        known = included.get(("prospect", prospect))
        if known is not None:
            row["prospect_email"] = known.find("attributes.emails", "attributes.email")
            account = account or _related(known, "account")
    if account is not None:
        row["account_ref"] = f"account-{account}"
        known = included.get(("account", account))
        if known is not None:
            row["account_domain"] = known.find("attributes.domain", "attributes.websiteUrl")
    sequence = included.get(("sequence", row["sequence_id"] or ""))
    row["sequence_label"] = None if sequence is None else sequence.find_text("attributes.name")
    if stage is not None:
        known = included.get(("opportunityStage", stage)) or included.get(("stage", stage))
        row["stage_label"] = stage if known is None else known.find_text("attributes.name") or stage
        if known is not None:
            row.setdefault("isClosed", known.find("attributes.isClosed"))
    return row


def _related(record: Record, *names: str) -> str | None:
    return record.find_text(*(f"relationships.{name}.data.id" for name in names))


def _changed(record: Record, name: str) -> bool:
    """Whether a field is among those that an update changed; where the update doesn't say, it may be."""
    before = record.find("beforeUpdate", "attributes.beforeUpdate", "meta.beforeUpdate")
    if not isinstance(before, Mapping):
        return True
    inner = before.get("attributes", before)
    return name in inner if isinstance(inner, Mapping) else True


def _read_mailing(row: Mapping[str, Any], action: str, record: Record) -> Iterator[Pair | Item]:
    if action in MAILINGS:
        yield MAILINGS[action][1], row
        return
    found = [
        table
        for name, table in MAILINGS.values()
        if not is_blank(row.get(name)) and (action != "updated" or _changed(record, name))
    ]
    if action in ("created", "destroyed") or not found:
        yield ignored(f"mailing.{action or 'record'}", "nothing happened to the mailing", "type")
        return
    for table in found:
        yield table, row


def _read_prospect(row: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    given = Record(row)
    flags = [str(given.find(name)).lower() for name in ("optedOut", "emailOptedOut", "emailsOptedOut")]
    changed = any(_changed(record, name) for name in ("optedOut", "emailOptedOut", "emailsOptedOut"))
    said = isinstance(record.find("beforeUpdate", "attributes.beforeUpdate"), Mapping)
    if "true" in flags and changed:
        yield OPTED_OUT, row
    elif said and changed and "false" in flags:
        yield OPTED_IN, row
    else:
        yield from _KNOW(row)


def _read_state(row: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    given = Record(row)
    reason = (given.find_text("pauseReason") or "").lower()
    positive = given.find("positiveReplyCount")
    if isinstance(positive, int | float) and positive > 0 and _changed(record, "positiveReplyCount"):
        yield POSITIVE, row
    elif any(
        word in reason
        for word in ("ooto", "ooo", "out of office", "out_of_office", "auto-reply", "autoreply", "auto reply")
    ):
        yield AWAY, row
    else:
        yield ignored("sequenceState", "no answer of the person", "type")  # fmt: skip


def _read_deal(row: Mapping[str, Any], action: str, record: Record) -> Iterator[Pair | Item]:
    if action == "destroyed" or not is_blank(row.get("trashedAt")):
        yield from DEALS.deleted(row)
    elif action == "updated":
        moved = {**row, MOVED: Record(row).find("stageChangedAt", _DELIVERED, "updatedAt")}
        found = list(DEALS.changed(moved, reopens=_changed(record, "stage") and _said(record)))
        yield from found
        if not found:
            yield ignored("opportunity.updated", "the stage is the same", "type")
    else:
        yield from DEALS.created(row)


def _said(record: Record) -> bool:
    return isinstance(record.find("beforeUpdate", "attributes.beforeUpdate"), Mapping)


ADAPTER: Final = Adapter(
    name="outreach",
    title="Outreach",
    reads="webhooks (payload versions 1 and 2), and mailings, prospects, sequence states, opportunities and accounts of the interface "
    "(JSON:API, with `included`)",
    tables=(*(table for _, table in MAILINGS.values()), OPTED_OUT, OPTED_IN, POSITIVE, AWAY, *DEALS.tables),
    split=_split,
    ignored=_IGNORED,
    notes="A webhook about a mailing names the prospect by its id alone: `outreach:prospect-7`. Records of prospects and accounts in the same "
    "files tell the domains of these ids; others wait until `resegment accounts resolve`, or `--domains`, says which account they are. "
    "An automatic reply pauses the sequence state and gives `auto_replied`.",
)  # fmt: skip
