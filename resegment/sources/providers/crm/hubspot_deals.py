"""HubSpot's deals: created, won, lost, and reopened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from resegment.sources.adapters.currency import keep_currency
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Item
from resegment.sources.adapters.records import Record, as_list, normalize_name
from resegment.sources.adapters.splitting import Pair, ignored
from resegment.sources.adapters.tables import Table
from resegment.sources.providers.crm.hubspot_words import SUBSCRIPTIONS

CHANGED: Final = listed(
    "hs_lastmodifieddate, last modified date, lastmodifieddate, updatedAt, updated_at, "
    "notes_last_updated, _fivetran_synced"
)
DOMAIN: Final = listed(
    "domain, company domain name, company domain, website, website url, associated company domain, "
    "company.domain, company.website, associated company website"
)
_DEAL_ID: Final = listed("hs_object_id, record id, dealId, objectId, id")
_ENTERED: Final = listed("hs_v2_date_entered_current_stage, date entered current stage")
_NOW: Final = ("hs_is_closed", "hs_is_closed_won", "is closed", "is closed won", *_ENTERED)
_NUMBER: Final = "the number of the stage does not say whether it is open: read the deal from the interface"


def _is_gone(record: Record) -> bool:
    found = record.find("is_deleted", "deleted", "archived", "isDeleted", "_fivetran_deleted")
    return found is True or str(found).lower() == "true"


def _op(record: Record) -> Literal["assert", "retract"]:
    return "retract" if _is_gone(record) else "assert"


def _read_stage(record: Record) -> str:
    """Return won, lost or opportunity_created, by the name of the stage in any pipeline."""
    stage = normalize_name(record.find_text("dealstage", "deal stage", "deal_pipeline_stage_id") or "")
    if "closedwon" in stage or stage == "won":
        return "won"
    return "lost" if "closedlost" in stage or stage == "lost" else "opportunity_created"


def _opened_data(record: Record, data: dict[str, Any]) -> None:
    data["action"] = "opportunity_created"
    data.pop("stage", None)
    keep_currency(record, data, "deal_currency_code", "currency")


def _deal_data(record: Record, data: dict[str, Any]) -> None:
    """Say what happened to the deal: created, won or lost."""
    keep_currency(record, data, "deal_currency_code", "currency")
    closed_won = record.find("hs_is_closed_won", "is closed won")
    closed = record.find("hs_is_closed", "is closed", "is deal closed?")
    action = _read_stage(record)
    if str(closed_won).lower() == "true":
        action = "won"
    elif action not in ("won", "lost") and str(closed).lower() == "true" and closed_won is not None:
        action = "lost"
    elif action not in ("won", "lost"):
        action = "opportunity_created"
    data["action"] = action


_DEAL_DATA: Final = {
    "deal": field("text", *_DEAL_ID),
    "amount_usd": field("money", "amount_in_home_currency, amount in company currency, amount"),
    "name": field("text", "dealname", "deal name"),
    "stage": field("text", "dealstage, deal stage, deal_pipeline_stage_id"),
    "pipeline": field("text", "pipeline", "deal_pipeline_id"),
    "type": field("text", "dealtype", "deal type"),
}
_DEAL_IGNORED: Final = listed(
    "description, owner_id, portal_id, hubspot_owner_id, deal owner, hs_acv, hs_arr, hs_mrr, hs_tcv, "
    "hs_forecast_amount, hs_deal_stage_probability, closed_lost_reason, closed_won_reason, "
    "num_associated_contacts, is_deleted, hs_is_closed, hs_is_closed_won, associated contact, "
    "associated company, createdAt, archived"
)

DEAL_OPENED: Final = Table(
    name="deal",
    kind="outcome",
    envelope=Envelope(
        record="deal",
        key=("|".join(_DEAL_ID),),
        known_as=listed(
            "associated company ids, associated company, company_id, associatedcompanyid, "
            "associations.companies.results.id, objectId, hs_primary_associated_company"
        ),
        own=("objectId",),
        subject=DOMAIN,
        time=("createdate", "create date", "createdAt"),
        recorded=(),
        withdrawn=("archivedAt", *CHANGED),
        op=_op,
    ),
    data=_DEAL_DATA,
    refine=_opened_data,
    ignored=(
        *_DEAL_IGNORED,
        *listed("closedate, close date, hs_lastmodifieddate, last modified date"),
    ),
)
DEAL_CLOSED: Final = Table(
    name="closed deal",
    kind="outcome",
    envelope=Envelope(
        record="deal-closed",
        key=DEAL_OPENED.envelope.key,
        known_as=DEAL_OPENED.envelope.known_as,
        own=("objectId",),
        subject=DOMAIN,
        time=listed(
            "closedate, close date, hs_closed_won_date, hs_lastmodifieddate, last modified date, updatedAt"
        ),
        recorded=_ENTERED,
        withdrawn=("archivedAt", *CHANGED),
        op=_op,
    ),
    data=_DEAL_DATA,
    ignored=(*_DEAL_IGNORED, "createdate", "create date"),
    refine=_deal_data,
)
DEAL_REOPENED: Final = Table(
    name="reopened deal",
    kind="outcome",
    envelope=Envelope(
        record="deal-closed",
        key=DEAL_OPENED.envelope.key,
        known_as=DEAL_OPENED.envelope.known_as,
        own=("objectId",),
        subject=DOMAIN,
        time=_ENTERED,
        withdrawn=_ENTERED,
        op=lambda _: "retract",
    ),
    data={},
    ignored=_DEAL_IGNORED,
)

DEAL_MOVED: Final = Table(
    name="deal in another stage",
    kind="outcome",
    envelope=Envelope(
        record="deal-stage",
        key=(*DEAL_OPENED.envelope.key, "dealstage|deal stage|deal_pipeline_stage_id", "@time"),
        known_as=DEAL_OPENED.envelope.known_as,
        own=("objectId",),
        subject=DOMAIN,
        time=_ENTERED,
    ),
    data=_DEAL_DATA,
    constants={"action": "stage_changed"},
    ignored=_DEAL_IGNORED,
)


def _is_open(record: Record) -> bool:
    """Whether a deal is surely in an open stage. The number of a custom stage doesn't say so, but the flag does."""
    flag = str(record.find("hs_is_closed", "is closed", "is deal closed?")).lower()
    stage = record.find_text("dealstage", "deal stage", "deal_pipeline_stage_id")
    named = stage is not None and not stage.strip().isdigit()
    return flag == "false" or (named and flag != "true" and _read_stage(record) == "opportunity_created")


def read_deal(one: Mapping[str, Any], record: Record) -> Iterator[Pair]:
    """Read a deal: its creation, its history of stages, and its close or that it is open again."""
    yield DEAL_OPENED, one
    versions = as_list(record.find("propertiesWithHistory.dealstage"))
    changes = [version for version in versions if isinstance(version, Mapping)]
    for version in sorted(changes, key=lambda version: str(version.get("timestamp")))[1:]:
        yield from _move(
            {name: value for name, value in one.items() if name not in _NOW},
            version.get("value"),
            version.get("timestamp"),
        )
    check: dict[str, Any] = {}
    _deal_data(record, check)
    entered = record.find(*_ENTERED)
    if check["action"] in ("won", "lost"):
        latest = max((str(version.get("timestamp")) for version in changes), default=None)
        yield DEAL_CLOSED, {_ENTERED[0]: latest, **one} if entered is None else one
    elif entered is not None and entered != record.find(*DEAL_OPENED.envelope.time) and _is_open(record):
        yield DEAL_REOPENED, one


def _move(base: Mapping[str, Any], stage: Any, at: Any) -> Iterator[Pair]:
    """Read that a deal entered a stage: one that wins or loses it, or an open one."""
    moved = {**base, "dealstage": stage, "closedate": at, _ENTERED[0]: at}
    record = Record(moved)
    if _read_stage(record) != "opportunity_created":
        yield DEAL_CLOSED, moved
        return
    if _is_open(record):
        yield DEAL_MOVED, moved
        yield DEAL_REOPENED, moved


def is_stage_change(record: Record) -> bool:
    """Whether a record is a row of the history of a deal's properties."""
    return record.has("dealId", "deal_id") and record.has("value") and record.has("timestamp")


def read_stage_change(record: Record) -> Iterator[Pair | Item]:
    """Read a row of the history of a deal's properties."""
    if normalize_name(record.find_text("name", "propertyName", "property") or "") != "dealstage":
        yield ignored("deal property", SUBSCRIPTIONS["deal"], "name")
        return
    identity = record.find("dealId", "deal_id")
    base = {"id": identity, "objectId": identity}
    for name in DEAL_OPENED.envelope.known_as[:3]:
        if (found := record.find(name)) is not None:
            base[name] = found
    found = list(
        _move({**base, "domain": record.find(*DOMAIN)}, record.find("value"), record.find("timestamp"))
    )
    yield from found
    if not found:
        yield ignored("dealstage", _NUMBER, "value")


def read_deal_webhook(one: Mapping[str, Any], record: Record, kind: str) -> Iterator[Pair | Item]:
    """Read a message about a deal, which has the id alone: `known_as` has the domain of its company."""
    base = {
        **one,
        "id": record.find("objectId"),
        "createdate": record.find("occurredAt"),
        "closedate": record.find("occurredAt"),
    }
    if kind == "creation":
        yield DEAL_OPENED, base
    elif kind == "propertychange" and str(record.find("propertyName")) == "dealstage":
        found = list(_move(base, record.find("propertyValue"), record.find("occurredAt")))
        yield from found
        if not found:
            yield ignored("dealstage", _NUMBER, "propertyValue")
    else:
        yield ignored(f"deal.{kind}", SUBSCRIPTIONS["deal"], "subscriptionType")
