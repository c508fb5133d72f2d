"""HubSpot: companies, deals, e-mail events and property history, from exports, the interface, webhooks and warehouses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list, is_blank, normalize_name
from resegment.sources.adapters.splitting import Pair
from resegment.sources.adapters.tables import Table, snake_case
from resegment.sources.providers.crm.hubspot_deals import (
    CHANGED,
    DEAL_CLOSED,
    DEAL_MOVED,
    DEAL_OPENED,
    DEAL_REOPENED,
    DOMAIN,
    is_stage_change,
    read_deal,
    read_deal_webhook,
    read_stage_change,
)
from resegment.sources.providers.crm.hubspot_emails import EMAIL, choose_email
from resegment.sources.providers.crm.hubspot_engagements import (
    TABLES as ENGAGEMENTS,
)
from resegment.sources.providers.crm.hubspot_engagements import (
    is_engagement,
    know_contact,
    read_contact_change,
    read_engagement,
    read_meeting_change,
)
from resegment.sources.providers.crm.hubspot_words import (
    EMAIL_SKIPPED,
    OTHER_OBJECTS,
    STATISTICS,
    SUBSCRIPTIONS,
)

_COMPANY_ID: Final = listed("hs_object_id, record id, companyId, objectId, id")


def _custom(name: str) -> str | None:
    """Return the attribute of a custom property. Those that HubSpot computes (`hs_...`) are left out."""
    plain = name.lower().removeprefix("property_")
    return None if plain.startswith(("hs_", "hubspot_", "_", "record id")) else snake_case(plain)


def _refine_company(_: Record, data: dict[str, Any]) -> None:
    stage = data.get("lifecyclestage")
    if isinstance(stage, str):
        data["lifecyclestage"] = normalize_name(stage) or stage


COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        learns=_COMPANY_ID,
        key=("|".join(_COMPANY_ID),),
        known_as=(*_COMPANY_ID, "name", "company name"),
        subject=(*DOMAIN, "hs_additional_domains", "additional domains"),
        time=CHANGED,
        identity="snapshot",
    ),
    data={
        "name": field("text", "name, company name, property_name"),
        "industry": field("text", "industry"),
        "subindustry": field("text", "sub-vertical, subvertical, sub-industry, subindustry, industry_group"),
        "business_model": field("text", "business model", "business_model"),
        "employees": field("count", "numberofemployees, number of employees, employees"),
        "employees_range": field("text", "hs_employee_range", "employee range"),
        "revenue_usd": field("money", "annualrevenue", "annual revenue"),
        "country": field("country", "country, country/region, hs_country_code"),
        "region": field("text", "state/region", "hs_state_code"),
        "technologies": field("technologies", "web_technologies", "web technologies"),
        "lifecyclestage": field("text", "lifecyclestage", "lifecycle stage"),
        "target_account": field("flag", "hs_is_target_account", "target account"),
        "type": field("text", "type"),
    },
    ignored=STATISTICS,
    rest=_custom,
    refine=_refine_company,
)


_PROPERTIES: Final = {normalize_name(path): name for name, one in COMPANY.data.items() for path in one.paths}


def _history_data(record: Record, data: dict[str, Any]) -> None:
    """Read the value of the property that changed. An empty one was cleared."""
    name = record.find_text("name", "propertyName", "property_name", "property")
    value = record.find("value", "propertyValue", "property_value")
    if name is None:
        raise RefusedEvent("no-value", "the change does not name a property", field="name")
    attribute = _PROPERTIES.get(normalize_name(name)) or _custom(name)
    if attribute is None:
        raise RefusedEvent("ignored", f"the property {name[:60]} is computed by HubSpot", field="name")
    if normalize_name(name) in _IGNORED_PROPERTIES:
        raise RefusedEvent("ignored", f"the property {name[:60]} gives no attribute", field="name")
    if is_blank(value):
        data[attribute] = None
        return
    one = COMPANY.data.get(attribute)
    if one is None:
        data[attribute] = value if isinstance(value, int | float | bool) else str(value).strip()
        return
    try:
        from resegment.sources.adapters.fields import Read  # noqa: PLC0415

        data.update(one.read(attribute, value, Read(None, None, record)))
    except ValueError as error:
        raise RefusedEvent("wrong-cell", str(error), field="value") from None
    _refine_company(record, data)


_IGNORED_PROPERTIES: Final = frozenset(
    normalize_name(path) for path in (*STATISTICS, *CHANGED, "hs_object_id", "domain", "website")
)

PROPERTY: Final = Table(
    name="change of a company's property",
    kind="firmographic",
    envelope=Envelope(
        record="property",
        key=("companyId|objectId", "name|propertyName|property", "timestamp|occurredAt"),
        known_as=("companyId", "objectId"),
        subject=listed("domain, website, company_domain, company.domain"),
        time=("timestamp", "occurredAt", "updatedAt"),
        utc=True,
    ),
    data={},
    ignored=listed(
        "name, value, propertyName, propertyValue, source, source_id, sourceId, sourceVid, requestId, "
        "changeSource, updatedByUserId, _fivetran_synced, eventId, subscriptionId, portalId, appId, "
        "attemptNumber, changeFlag, subscriptionType, isSensitive, objectTypeId, source_label, "
        "selected_by_user, useTimestampAsPersistenceTimestamp"
    ),
    refine=_history_data,
)


def _split(payload: Any, context: Context) -> Iterator[Pair | Item]:
    for one in as_list(payload):
        if not isinstance(one, Mapping):
            yield RefusedEvent("wrong-payload", "an object is expected")
            continue
        inner = Record(one)
        listed = inner.find("results", "companies", "deals", "events")
        if isinstance(listed, list) and not inner.has("properties", "id", "objectId", "companyId", "dealId"):
            yield from _split(listed, context)
        elif inner.has("subscriptionType"):
            yield from _webhook(one, inner)
        else:
            yield from _record(one, inner)


def _webhook(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    subscription = str(record.find("subscriptionType"))
    kind = subscription.lower()
    if kind == "company.propertychange" or (
        kind == "object.propertychange" and str(record.find("objectTypeId")) == "0-2"
    ):
        yield PROPERTY, one
        return
    if kind.startswith("deal.") or (kind.startswith("object.") and str(record.find("objectTypeId")) == "0-3"):
        yield from read_deal_webhook(one, record, kind.partition(".")[2])
        return
    about = str(record.find("objectTypeId")) if kind.startswith("object.") else ""
    if kind == "contact.propertychange" or (kind == "object.propertychange" and about == "0-1"):
        yield from read_contact_change(one, record)
        return
    if about == "0-47":
        yield from read_meeting_change(one, record, kind.partition(".")[2])
        return
    if about in OTHER_OBJECTS:
        yield RefusedEvent("ignored", f"{kind[:60]}: {OTHER_OBJECTS[about]}", field="objectTypeId")
        return
    why = SUBSCRIPTIONS.get(kind) or SUBSCRIPTIONS.get(kind.partition(".")[0])
    if why is not None:
        yield RefusedEvent("ignored", f"{subscription[:60]}: {why}", field="subscriptionType")
    else:
        yield RefusedEvent(
            "unknown-type", f"{subscription[:60]!r} is no known subscription", field="subscriptionType"
        )


def _record(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    flat = _flatten(one)
    record = Record(flat)
    if record.has("recipient") and record.has("type", "eventType"):
        yield choose_email(flat, record)
    elif is_engagement(record):
        yield from read_engagement(flat, record)
    elif is_stage_change(record):
        yield from read_stage_change(record)
    elif record.has(
        "dealname", "deal name", "dealstage", "deal stage", "dealId", "deal_id", "deal_pipeline_stage_id"
    ):
        yield from read_deal(flat, record)
    elif record.has("canonical_vid", "vid_to_merge", "vid-to-merge"):
        yield RefusedEvent("ignored", "a merge of contacts says nothing of an account", field="canonical_vid")
    elif record.has("value") and record.has("name", "propertyName", "property") and record.has("timestamp"):
        yield PROPERTY, flat
    elif record.has("firstname", "first name", "lastname", "last name") and not record.has(
        "numberofemployees", "number of employees"
    ):
        yield from know_contact(flat, record)
    elif record.has(*DOMAIN, *_COMPANY_ID[:3], "properties") or (
        record.has("id") and record.has("name", "company name", "industry", "numberofemployees")
    ):
        yield COMPANY, flat
        yield from _versions(one)
    else:
        yield RefusedEvent(
            "no-record", "neither a company, a deal, an e-mail event nor a change of a property is recognized"
        )


def _flatten(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with its properties at the top: those of the old interface are inside `value`."""
    flat: dict[str, Any] = {}
    for name, value in one.items():
        key = str(name)
        if normalize_name(key).startswith("property") and key.lower().startswith("property_"):
            key = key[len("property_") :]
        if key == "properties" and isinstance(value, Mapping):
            continue
        flat.setdefault(key, value)
    properties = one.get("properties")
    if isinstance(properties, Mapping):
        for name, value in properties.items():
            inner = value.get("value") if isinstance(value, Mapping) else value
            if not is_blank(inner) or str(name) not in flat:
                flat[str(name)] = inner
    return flat


def _versions(one: Mapping[str, Any]) -> Iterator[Pair | Item]:
    """Find the history of each property that a record of the interface has."""
    record = Record(one)
    identity = record.find_text(*_COMPANY_ID, "properties.hs_object_id")
    domain = record.find("properties.domain.value", "properties.domain", "domain", "properties.website")
    history = one.get("propertiesWithHistory")
    if not isinstance(history, Mapping):
        return
    for name, versions in history.items():
        for version in as_list(versions):
            if isinstance(version, Mapping):
                if normalize_name(str(name)) in _IGNORED_PROPERTIES or (
                    _custom(str(name)) is None and normalize_name(str(name)) not in _PROPERTIES
                ):
                    continue
                yield PROPERTY, {**version, "companyId": identity, "name": name, "domain": domain}


ADAPTER: Final = Adapter(
    name="hubspot",
    title="HubSpot",
    reads="CSV exports of companies and deals, CRM objects of the interface (v1, v3, with history), e-mail events, one-to-one e-mails, meetings, webhooks, "
    "and the tables of Fivetran",
    tables=(COMPANY, DEAL_OPENED, DEAL_CLOSED, DEAL_REOPENED, DEAL_MOVED, EMAIL, PROPERTY, *ENGAGEMENTS),
    split=_split,
    ignored={
        **SUBSCRIPTIONS,
        **{f"e-mail event {one.upper()}": "says nothing of the account" for one in sorted(EMAIL_SKIPPED)},
        "contact merge": "a merge of contacts says nothing of an account",
    },
    notes="Each export of a company is a fact of its own, with the day of its last change in its id. A deal gives "
    "`opportunity_created` at its creation, and `won` or `lost` at its close. A closed deal that goes back to an open stage "
    "withdraws its `won` or `lost`: from webhooks and the history of `dealstage`, and from records with the property "
    "`hs_v2_date_entered_current_stage`, so ask for it. A stage of your own, which has a number for a name, is open or closed as "
    "`hs_is_closed` and `hs_is_closed_won` say. A deal names no domain in the interface: give the domains of company ids with `--domains`.",
)
