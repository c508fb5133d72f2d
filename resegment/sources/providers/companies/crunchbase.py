"""Crunchbase: funding rounds, organizations, acquisitions and offerings, from the interface (v4), its feed of deletions and CSV exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, normalize_name
from resegment.sources.adapters.splitting import Pair, ignored, merge_attributes, split_by, unknown
from resegment.sources.adapters.tables import Table
from resegment.sources.adapters.values import read_money

_UPDATED: Final = ("updated_at", "updated_on")
_ORGANIZATION: Final = ("funded_organization_identifier", "organization_identifier", "acquiree_identifier")
_KNOWN: Final = listed(
    "funded_organization_identifier.uuid, funded_organization_identifier.permalink, "
    "funded_organization_identifier.value, organization_identifier.uuid, "
    "organization_identifier.permalink, organization_identifier.value, Organization Name URL, "
    "Organization Name, organization_uuid, org_uuid, company_permalink, uuid, identifier.uuid"
)
_WEBSITES: Final = listed(
    "Organization Website, organization website, funded_organization.website_url, "
    "funded_organization.properties.website_url, funded_organization.website.value, "
    "funded_organization_website, organization.website_url, organization.website.value, website_url, "
    "website.value, website, homepage_url, domain, cards.organization.website_url, "
    "cards.organization.website.value, cards.organization.properties.website_url"
)


def _amounts(record: Record, data: dict[str, Any]) -> None:
    """Add the amount in its own currency and in US dollars, where Crunchbase gives it."""
    given = record.find("money_raised", "Money Raised", "raised_amount", "price", "Price")
    usd = record.find(
        "money_raised.value_usd",
        "raised_amount_usd",
        "Money Raised (in USD)",
        "Money Raised Currency (in USD)",
        "money_raised_usd",
        "price.value_usd",
        "Price Currency (in USD)",
        "Price (in USD)",
    )
    currency = record.find_text(
        "money_raised.currency",
        "Money Raised Currency",
        "raised_amount_currency_code",
        "price.currency",
        "Price Currency",
    )
    for name, value in (("amount", given), ("amount_usd", usd)):
        try:
            found = None if value is None else read_money(value)
        except ValueError:
            continue
        if found is not None:
            data[name] = found.amount
            if name == "amount":
                currency = currency or found.currency
    if currency is not None and len(currency) == 3 and currency.isalpha():
        data["currency"] = currency.upper()
    if data.get("currency") == "USD" and "amount" in data:
        data.setdefault("amount_usd", data["amount"])


def _deleted(record: Record) -> Any:
    return "retract" if record.has("deleted_at") and record.find("deleted_at") is not None else "assert"


ROUND: Final = Table(
    name="funding round",
    kind="funding",
    envelope=Envelope(
        record="round",
        learns=("identifier.uuid", "uuid"),
        key=(
            "identifier.uuid|uuid|Transaction Name URL|identifier.permalink|permalink|funding_round_uuid|id",
        ),
        known_as=_KNOWN,
        subject=_WEBSITES,
        time=listed(
            "announced_on, Announced Date, announced_on.value, closed_on, funded_at, created_at, deleted_at"
        ),
        recorded=("updated_at", "created_at"),
        withdrawn=("deleted_at",),
        utc=True,
        op=_deleted,
    ),
    data={
        "round": field("round", "investment_type, Funding Type, funding_type, Funding Stage"),
        "investors": field("texts", "investor_identifiers, Investor Names, investor_names"),
        "lead_investors": field("texts", "lead_investor_identifiers, Lead Investors, lead_investor_names"),
        "name": field("text", "identifier.value, Transaction Name, name"),
        "date_precision": field("text", "announced_on.precision"),
        "number_of_investors": field("number", "num_investors, Number of Investors, investor_count"),
        "valuation_usd": field(
            "money",
            "pre_money_valuation.value_usd, post_money_valuation.value_usd, Pre-Money Valuation Currency (in "
            "USD)",
        ),
    },
    ignored=listed(
        "money_raised, Money Raised, Money Raised Currency, Money Raised (in USD), Money Raised Currency "
        "(in USD), raised_amount_usd, short_description, image_id, image_url, rank_funding_round, "
        "num_partners, is_equity, target_money_raised, investor_stage, funded_organization_categories, "
        "funded_organization_location, funded_organization_description, "
        "funded_organization_revenue_range, funded_organization_diversity_spotlights, "
        "funded_organization_funding_stage, Organization Location, Organization Description, Organization "
        "Industries, Diversity Spotlight, Funding Status, Pre-Money Valuation, Pre-Money Valuation "
        "Currency, Equity Only Funding, Total Funding Amount, Number of Funding Rounds, CB Rank (Funding "
        "Round), Number of Partner Investors, entity_def_id, created_at, updated_at, funding_rounds, "
        "press_references"
    ),
    refine=_amounts,
)

ORGANIZATION: Final = Table(
    name="organization",
    kind="firmographic",
    envelope=Envelope(
        record="organization",
        learns=listed("identifier.uuid, identifier.permalink, uuid, permalink, Organization Name URL"),
        key=("identifier.uuid|uuid|Organization Name URL|identifier.permalink|permalink|id",),
        known_as=listed(
            "identifier.uuid, identifier.permalink, identifier.value, uuid, permalink, Organization Name URL, "
            "Organization Name, name"
        ),
        subject=listed("website_url, website.value, website, Website, homepage_url, domain, Domain"),
        time=_UPDATED,
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "identifier.value, Organization Name, name"),
        "industry": field(
            "text",
            "category_groups, Industry Groups, categories, Industries, category_groups_list, category_list",
        ),
        "employees": field("count", "num_employees_enum, Number of Employees, employee_count"),
        "revenue_usd": field("money", "revenue_range.value", "Estimated Revenue Range"),
        "country": field("country", "country_code, location_country, Headquarters Country"),
        "location": field("text", "Headquarters Location", "headquarters_location"),
        "growth_stage": field(
            "term",
            "last_funding_type, Last Funding Type, Last Equity Funding Type, funding_stage, Funding Stage",
        ),
        "funding_total_usd": field(
            "money",
            "funding_total.value_usd, funding_total_usd, Total Funding Amount (in USD), Total Funding Amount "
            "Currency (in USD)",
        ),
        "status": field("term", "operating_status, Operating Status, status"),
        "last_funding_on": field("text", "last_funding_at, last_funding_on, Last Funding Date"),
    },
    ignored=listed(
        "short_description, Description, Full Description, founded_on, Founded Date, Founders, rank_org, "
        "rank_org_company, CB Rank (Company), CB Rank (Organization), image_id, image_url, linkedin, "
        "LinkedIn, twitter, Twitter, facebook, Facebook, phone_number, contact_email, Contact Email, "
        "Phone Number, num_funding_rounds, Number of Funding Rounds, created_at, location_identifiers, "
        "location_group_identifiers, company_type, Company Type, ipo_status, legal_name, Legal Name, "
        "aliases, permalink_aliases, Last Funding Amount, Last Funding Amount Currency, Last Funding "
        "Amount Currency (in USD), Total Funding Amount, Total Funding Amount Currency, Top 5 Investors, "
        "Number of Investors, facet_ids, revenue_range, entity_def_id, investor_identifiers, stock_symbol"
    ),
)


def _acquired(record: Record, data: dict[str, Any]) -> None:
    _amounts(record, data)
    for name in ("amount", "amount_usd", "currency"):
        if name in data:
            data[f"acquisition_{name}"] = data.pop(name)


ACQUISITION: Final = Table(
    name="acquisition",
    kind="firmographic",
    envelope=Envelope(
        record="acquisition",
        learns=("identifier.uuid", "uuid"),
        key=("identifier.uuid|uuid|Transaction Name URL|acquisition_uuid|id",),
        known_as=listed(
            "acquiree_identifier.uuid, acquiree_identifier.permalink, acquiree_identifier.value, Acquiree "
            "Name URL, Acquiree Name, company_permalink, company_name, uuid, identifier.uuid"
        ),
        subject=listed(
            "Acquiree Website, acquiree_website, acquiree.website_url, acquiree.website.value, "
            "acquiree_website_url, domain"
        ),
        time=listed("announced_on, Announced Date, completed_on, acquired_at, deleted_at"),
        withdrawn=("deleted_at",),
        utc=True,
        op=_deleted,
    ),
    data={
        "acquired_by": field("text", "acquirer_identifier, Acquirer Name, acquirer_name"),
        "acquisition_type": field("term", "acquisition_type", "Acquisition Type"),
    },
    constants={"status": "acquired"},
    ignored=listed(
        "price, Price, Price Currency, Price Currency (in USD), short_description, terms, Acquisition "
        "Terms, rank_acquisition, disposition_of_acquired, status, updated_at, created_at"
    ),
    refine=_acquired,
)
OFFERING: Final = Table(
    name="public offering",
    kind="funding",
    envelope=Envelope(
        record="ipo",
        learns=("identifier.uuid", "uuid"),
        key=("identifier.uuid|uuid|Transaction Name URL|IPO Name URL|id",),
        known_as=_KNOWN,
        subject=_WEBSITES,
        time=listed(
            "went_public_on, went_public_on.value, Going Public Date, IPO Date, announced_on, deleted_at"
        ),
        withdrawn=("deleted_at",),
        utc=True,
        op=_deleted,
    ),
    data={
        "stock_symbol": field("text", "stock_symbol", "Stock Symbol"),
        "stock_exchange": field("text", "stock_exchange_symbol", "Stock Exchange"),
        "valuation_usd": field("money", "valuation.value_usd", "amount_raised.value_usd"),
    },
    constants={"round": "ipo"},
    ignored=listed(
        "share_price, shares_outstanding, shares_sold, amount_raised, valuation, delisted_on, "
        "short_description, image_id, rank_ipo"
    ),
    refine=_amounts,
)

_TYPES: Final = {
    "funding_round": ROUND, "funding_rounds": ROUND, "organization": ORGANIZATION, "organizations": ORGANIZATION, "company": ORGANIZATION,
    "acquisition": ACQUISITION, "acquisitions": ACQUISITION, "ipo": OFFERING, "ipos": OFFERING,
}  # fmt: skip
_IGNORED: Final = {
    "person": "persons are no accounts", "job": "jobs of persons give no event", "investment": "the round names its investors",
    "fund": "funds are of investors", "press_reference": "articles give no event", "event": "events give no event",
    "event_appearance": "events give no event", "category": "no company", "category_group": "no company", "location": "no company",
    "address": "no company", "degree": "persons are no accounts", "ownership": "links say nothing of the account", "diversity_spotlight": "no company",
    "principal": "read the organization", "layoff": "read the organization", "key_employee_change": "names a person by id", "legal_proceeding": "gives no event",
}  # fmt: skip


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    flat = merge_attributes(one, "properties")
    record = Record(flat)
    cards = record.find("cards")
    kind = record.find_text("identifier.entity_def_id", "entity_def_id", "entity_def", "entity_type", "type")
    kind = None if kind is None else kind.lower().rstrip("s") if kind.lower() not in _TYPES else kind.lower()
    if record.find("deleted_at") is not None and kind in ("organization", "organizations", "company"):
        yield ignored(kind or "", "the account stays: its record was deleted", "deleted_at")
    elif kind in _TYPES:
        yield _TYPES[kind], flat
    elif kind in _IGNORED:
        yield ignored(kind or "", _IGNORED[kind or ""], "entity_def_id")
    elif record.has(
        "funded_organization_identifier",
        "investment_type",
        "Funding Type",
        "money_raised",
        "funding_round_uuid",
    ):
        yield ROUND, flat
    elif record.has("acquiree_identifier", "Acquiree Name", "acquirer_identifier"):
        yield ACQUISITION, flat
    elif record.has("went_public_on", "IPO Date", "stock_exchange_symbol"):
        yield OFFERING, flat
    elif record.has("deleted_at"):
        yield ROUND, flat
    elif record.has("website_url", "website", "Organization Name", "num_employees_enum", "homepage_url"):
        yield ORGANIZATION, flat
    elif kind is not None:
        yield unknown(kind, "entity_def_id")
    elif not isinstance(cards, Mapping):
        yield RefusedEvent(
            "no-record",
            "neither a funding round, an organization, an acquisition nor an offering is recognized",
        )
    if isinstance(cards, Mapping):
        yield from _cards(cards, record)


def _cards(cards: Mapping[str, Any], record: Record) -> Iterator[Pair | Item]:
    """Find the rounds of an organization that was read with its cards: they belong to its website."""
    website = record.find("website_url", "website.value", "website")
    for name, value in cards.items():
        key = normalize_name(str(name))
        if key not in ("raisedfundinground", "raisedfundingrounds", "ipos"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                flat = merge_attributes(inner, "properties")
                yield (
                    OFFERING if key == "ipos" else ROUND,
                    {"website_url": website, **flat} if website else flat,
                )


ADAPTER: Final = Adapter(
    name="crunchbase",
    title="Crunchbase",
    reads="entities and searches of the interface v4, the feed of deleted entities, and CSV exports of rounds, companies and acquisitions",
    tables=(ROUND, ORGANIZATION, ACQUISITION, OFFERING),
    split=split_by(_choose, "entities", "deleted_entities", "data", "items"),
    ignored=_IGNORED,
    notes="A round names its organization by id: give the domains of permalinks or uuids with `--domains`, or read the organizations "
    "into the same `--state` first. A deletion withdraws the round of that id; it needs the domain of the id too. "
    "An amount in another currency has `amount_usd` only where Crunchbase says it.",
)
