"""Salesforce: accounts and opportunities, from queries, exports, reports, change events and outbound messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.currency import keep_currency
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list
from resegment.sources.adapters.splitting import Pair, ignored, objects
from resegment.sources.adapters.tables import Table, snake_case
from resegment.sources.providers.crm.salesforce_activities import PEOPLE, is_outcome_event, read_activity
from resegment.sources.providers.crm.salesforce_activities import TABLES as ACTIVITIES

_CHANGED: Final = listed(
    "LastModifiedDate, Last Modified Date, SystemModstamp, commitTimestamp, _fivetran_synced, "
    "_sdc_extracted_at"
)
_DOMAIN: Final = listed(
    "Website, Account.Website, Account Website, Domain__c, Company_Domain__c, Domain, Account Domain"
)
_SYSTEM: Final = listed(
    "attributes, OwnerId, Owner, CreatedById, LastModifiedById, CreatedDate, Created Date, "
    "LastActivityDate, Last Activity, LastViewedDate, LastReferencedDate, MasterRecordId, PhotoUrl, "
    "Phone, Fax, Description, BillingStreet, BillingCity, BillingPostalCode, BillingLatitude, "
    "BillingLongitude, BillingGeocodeAccuracy, BillingAddress, Billing Street, Billing City, Billing "
    "Zip/Postal Code, ShippingStreet, ShippingCity, ShippingState, ShippingPostalCode, "
    "ShippingCountry, ShippingLatitude, ShippingLongitude, ShippingGeocodeAccuracy, ShippingAddress, "
    "Jigsaw, JigsawCompanyId, CleanStatus, AccountSource, DunsNumber, Tradestyle, YearStarted, "
    "SicDesc, Site, TickerSymbol, Ownership, DandbCompanyId, OperatingHoursId, AccountNumber, "
    "IsDeleted, RecordTypeId, CurrencyIsoCode, Account Owner, ChangeEventHeader, Alias, "
    "IsCustomerPortal, IsPartner, ChannelProgramName, ChannelProgramLevelName, Rating_Date, "
    "_fivetran_deleted, is_deleted"
)


def _custom(name: str) -> str | None:
    """Return the attribute of a custom field, `Renewal_Date__c`; standard fields that are not mapped are left out."""
    if name.startswith(("_", "Person")):
        return None
    return snake_case(name) if name.endswith("__c") or " " in name else None


def _currency(record: Record, data: dict[str, Any]) -> None:
    keep_currency(record, data, "CurrencyIsoCode", "Amount Currency", "Annual Revenue Currency")


def _account_data(record: Record, data: dict[str, Any]) -> None:
    """Clear the attributes whose fields a change event lists as emptied."""
    _currency(record, data)
    for name in as_list(record.find("ChangeEventHeader.nulledFields")):
        if not isinstance(name, str):
            continue
        mapped = (key for key, one in ACCOUNT.data.items() if name in one.paths)
        attribute = next(mapped, None) or (_custom(name) if name not in _SYSTEM else None)
        if attribute is not None:
            data.setdefault(attribute, None)


def _is_gone(record: Record) -> bool:
    change = str(record.find("ChangeEventHeader.changeType")).upper()
    deleted = record.find("IsDeleted", "_fivetran_deleted", "is_deleted")
    return change in ("DELETE", "GAP_DELETE") or str(deleted).lower() == "true"


ACCOUNT: Final = Table(
    name="account",
    kind="firmographic",
    envelope=Envelope(
        record="account",
        learns=("Id", "Account ID"),
        key=("Id|Account ID|AccountId",),
        known_as=listed("Id, Account ID, Name, Account Name"),
        subject=_DOMAIN,
        time=_CHANGED,
        identity="snapshot",
    ),
    data={
        "name": field("text", "Name", "Account Name"),
        "industry": field("text", "Industry"),
        "employees": field("count", "NumberOfEmployees, Employees, Number of Employees"),
        "revenue_usd": field("money", "AnnualRevenue", "Annual Revenue"),
        "country": field(
            "country",
            "BillingCountry, Billing Country, BillingAddress.country, BillingCountryCode, ShippingCountry",
        ),
        "region": field(
            "text", "BillingState, Billing State/Province, BillingAddress.state, BillingStateCode"
        ),
        "type": field("text", "Type"),
        "rating": field("text", "Rating"),
        "naics": field("text", "NaicsCode", "NAICS Code"),
        "sic": field("text", "Sic", "SIC Code"),
        "parent": field("text", "Parent.Website"),
        "parent_id": field("text", "ParentId", "Parent Account ID"),
    },
    ignored=_SYSTEM,
    rest=_custom,
    refine=_account_data,
)

_DEAL_DATA: Final = {
    "deal": field("text", "Id", "Opportunity ID"),
    "amount_usd": field("money", "Amount", "ExpectedRevenue"),
    "name": field("text", "Name", "Opportunity Name"),
    "type": field("text", "Type"),
    "lead_source": field("text", "LeadSource", "Lead Source"),
}
_DEAL_ACCOUNTS: Final = listed(
    "AccountId, Account ID, Account.Id, Account Name, Account.Name, Id, Opportunity ID"
)
_DEAL_IGNORED: Final = (
    *_SYSTEM,
    *listed(
        "StageName, Stage, Probability, Probability (%), ForecastCategory, ForecastCategoryName, Forecast "
        "Category, NextStep, Next Step, CampaignId, HasOpportunityLineItem, Pricebook2Id, FiscalQuarter, "
        "FiscalYear, Fiscal Period, Fiscal, IsClosed, IsWon, Closed, Won, LastStageChangeDate, "
        "LastAmountChangedHistoryId, LastCloseDateChangedHistoryId, IsPrivate, TotalOpportunityQuantity, "
        "ContactId, PushCount, Age, Opportunity Owner, Owner Role, LastModifiedDate, SystemModstamp, "
        "CloseDate, Close Date, ContractId, HasOpenActivity, HasOverdueTask, IqScore, SyncedQuoteId"
    ),
)

_STAGED: Final = ("LastStageChangeDate", "Last Stage Change Date", "ChangeEventHeader.commitTimestamp")

OPENED: Final = Table(
    name="opportunity",
    kind="outcome",
    envelope=Envelope(
        record="opportunity",
        learns=("Id", "Opportunity ID"),
        key=("Id|Opportunity ID",),
        known_as=_DEAL_ACCOUNTS,
        own=("Id", "Opportunity ID"),
        subject=_DOMAIN,
        time=("CreatedDate", "Created Date", "ChangeEventHeader.commitTimestamp"),
        withdrawn=(*_CHANGED, "ChangeEventHeader.commitTimestamp"),
        op=lambda record: "retract" if _is_gone(record) else "assert",
    ),
    data=_DEAL_DATA,
    constants={"action": "opportunity_created"},
    ignored=_DEAL_IGNORED,
    refine=_currency,
)


def _closed_data(record: Record, data: dict[str, Any]) -> None:
    _currency(record, data)
    data["action"] = "won" if is_won(record) else "lost"


CLOSED: Final = Table(
    name="closed opportunity",
    kind="outcome",
    envelope=Envelope(
        record="opportunity-closed",
        key=("Id|Opportunity ID",),
        known_as=_DEAL_ACCOUNTS,
        own=("Id", "Opportunity ID"),
        subject=_DOMAIN,
        time=(
            *listed("CloseDate, Close Date, LastStageChangeDate"),
            *_CHANGED,
            "ChangeEventHeader.commitTimestamp",
        ),
        recorded=_STAGED,
        withdrawn=(*_CHANGED, "ChangeEventHeader.commitTimestamp"),
        op=lambda record: "retract" if _is_gone(record) else "assert",
    ),
    data={**_DEAL_DATA, "reason": field("text", "Loss_Reason__c, Closed_Lost_Reason__c, Loss Reason")},
    ignored=(*_DEAL_IGNORED, "CreatedDate"),
    refine=_closed_data,
)


REOPENED: Final = Table(
    name="reopened opportunity",
    kind="outcome",
    envelope=Envelope(
        record="opportunity-closed",
        key=("Id|Opportunity ID",),
        known_as=_DEAL_ACCOUNTS,
        own=("Id", "Opportunity ID"),
        subject=_DOMAIN,
        time=_STAGED,
        withdrawn=_STAGED,
        op=lambda _: "retract",
    ),
    data={},
    ignored=(*_DEAL_IGNORED, "CreatedDate"),
)

MOVED: Final = Table(
    name="opportunity in another stage",
    kind="outcome",
    envelope=Envelope(
        record="opportunity-stage",
        key=("Id|Opportunity ID", "StageName|Stage", "@time"),
        known_as=_DEAL_ACCOUNTS,
        own=("Id", "Opportunity ID"),
        subject=_DOMAIN,
        time=_STAGED,
    ),
    data={
        **_DEAL_DATA,
        "stage": field("text", "StageName", "Stage"),
        "opened_at": field("time", "CreatedDate"),
    },
    constants={"action": "stage_changed"},
    ignored=_DEAL_IGNORED,
    refine=_currency,
)


def is_won(record: Record) -> bool:
    """Whether an opportunity is won."""
    flag = str(record.find("IsWon", "Won")).lower()
    stage = (record.find_text("StageName", "Stage") or "").lower()
    return flag in ("true", "1") or (flag not in ("false", "0") and "won" in stage.replace("-", " ").split())


def is_closed(record: Record) -> bool:
    """Whether an opportunity is won or lost."""
    flag = str(record.find("IsClosed", "Closed")).lower()
    stage = (record.find_text("StageName", "Stage") or "").lower().replace("-", " ").split()
    return flag in ("true", "1") or (flag not in ("false", "0") and ("won" in stage or "lost" in stage))


def _is_reopened(record: Record) -> bool:
    """Whether an opportunity that isn't closed has changed its stage, so that it may have been closed before."""
    flag = str(record.find("IsClosed", "Closed")).lower() in ("false", "0")
    return (flag or record.find_text("StageName", "Stage") is not None) and (
        record.find("LastStageChangeDate", "Last Stage Change Date") is not None
        or str(record.find("ChangeEventHeader.changeType")).upper() in ("UPDATE", "UNDELETE")
    )


def _field_history(record: Record) -> Iterator[Pair | Item]:
    """Read a row of the history of an opportunity's stage."""
    if str(record.find("Field")).lower() != "stagename":
        yield ignored("OpportunityFieldHistory", "only changes of the stage give events", "Field")
        return
    at = record.find("CreatedDate", "Created Date")
    names = ("AccountId", "Opportunity.AccountId", "Opportunity.Account.Id")
    moved = {
        "Id": record.find("OpportunityId", "Opportunity ID"),
        "AccountId": record.find(*names),
        "Website": record.find("Opportunity.Account.Website", *_DOMAIN),
        "StageName": record.find("NewValue", "New Value"),
        "CloseDate": at,
        "LastStageChangeDate": at,
    }
    if is_closed(Record(moved)):
        yield CLOSED, moved
    else:
        yield REOPENED, moved
        yield MOVED, moved


_IGNORED: Final = {
    "Task": "tasks are yours",
    "Campaign": "campaigns give no event",
    "CampaignMember": "campaigns give no event",
    "Case": "cases give no event",
    "User": "users are your own",
    "OpportunityLineItem": "line items give no event",
    "OpportunityHistory": "read the opportunity itself",
    "Contract": "contracts give no event",
    "Order": "orders give no event",
    "Quote": "quotes give no event",
    "Product2": "products give no event",
}


def _split(payload: Any, context: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "records", "Envelope.Body.notifications.Notification"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        record = Record(one)
        inner = record.find("sObject", "data.payload", "payload", "data")
        if isinstance(inner, Mapping) and (record.has("sObject") or not record.has("Id")):
            event = record.find("event", "data.event")
            yield from _split({**inner, "event": event} if isinstance(event, Mapping) else inner, context)
        else:
            yield from _choose(one, record)


def _choose(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    header = record.find("ChangeEventHeader")
    kind = record.find_text("ChangeEventHeader.entityName", "attributes.type")
    if isinstance(header, Mapping):
        change = str(Record(header).find("changeType")).upper()
        if change == "GAP_OVERFLOW":
            yield ignored(
                change,
                "events are missing: read the records from the interface",
                "ChangeEventHeader.changeType",
            )
            return
        for identity in as_list(Record(header).find("recordIds")):
            flat = {"Id": identity, "commitTimestamp": Record(header).find("commitTimestamp"), **one}
            nulled = {
                str(name): None
                for name in as_list(Record(header).find("nulledFields"))
                if isinstance(name, str)
            }
            yield from _choose_table({**nulled, **flat}, kind)
        return
    yield from _choose_table(one, kind)


def _choose_table(one: Mapping[str, Any], kind: str | None) -> Iterator[Pair | Item]:
    record = Record(one)
    if kind in PEOPLE or is_outcome_event(kind, record):
        yield from read_activity(one, record, kind)
    elif kind in _IGNORED:
        yield ignored(kind or "", _IGNORED[kind or ""], "attributes.type")
    elif kind == "OpportunityFieldHistory" or (
        kind is None and record.has("OpportunityId") and record.has("Field") and record.has("NewValue")
    ):
        yield from _field_history(record)
    elif kind == "Opportunity" or (
        kind is None and record.has("StageName", "Opportunity ID", "Opportunity Name", "Stage", "IsWon")
    ):
        yield from _opportunity(one, record)
    elif kind == "Account" or (
        kind is None
        and record.has(
            "NumberOfEmployees", "AnnualRevenue", "BillingCountry", "Account Name", "Website", "Employees"
        )
    ):
        if _is_gone(record):
            yield ignored(
                "Account", "the account stays: Salesforce deletes records, not companies", "IsDeleted"
            )
        else:
            yield ACCOUNT, one
    elif kind is not None:
        yield ignored(kind, "only accounts and opportunities give events", "attributes.type")
    else:
        yield RefusedEvent("no-record", "neither an account nor an opportunity is recognized")


def _opportunity(one: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    """Read an opportunity: its creation, its close, another stage, or that it is open again."""
    change = str(record.find("ChangeEventHeader.changeType")).upper()
    if change not in ("UPDATE", "GAP_UPDATE"):
        yield OPENED, one
    if is_closed(record) or change in ("DELETE", "GAP_DELETE"):
        yield CLOSED, one
    elif _is_reopened(record):
        yield REOPENED, one
        if record.find_text("StageName", "Stage") is not None:
            yield MOVED, one
    elif change in ("UPDATE", "GAP_UPDATE"):
        yield ignored(
            "Opportunity", "the change neither opens nor closes it", "ChangeEventHeader.changedFields"
        )


ADAPTER: Final = Adapter(
    name="salesforce",
    title="Salesforce",
    reads="accounts and opportunities from queries, exports and reports (CSV), change data capture and outbound messages, e-mails, "
    "meetings, opt-outs of contacts and leads, and platform events of your own",
    tables=(ACCOUNT, OPENED, CLOSED, REOPENED, MOVED, *ACTIVITIES),
    split=_split,
    ignored=_IGNORED,
    notes="An opportunity gives `opportunity_created` at its creation, and `won` or `lost` at its close. "
    "A closed opportunity that goes back to an open stage withdraws its `won` or `lost`: from change events, the field history "
    "of `StageName`, and records with `LastStageChangeDate`, so ask for it. Where the query does "
    "not have the account's website, give the domains of account ids with `--domains`. Custom fields (`__c`) of accounts become attributes. A platform event with `Action__c` (such as `replied`, `meeting_booked`), "
    "`Email__c`, `Domain__c`, `Occurred_At__c` and `Resegment_Key__c` is an outcome.",
)
