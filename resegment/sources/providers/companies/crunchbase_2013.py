"""CrunchBase's export of October 2013: rounds, companies and acquisitions. The companies are known by name and permalink only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, split_by
from resegment.sources.adapters.tables import Table

_COMPANY: Final = listed("company_permalink, permalink, company_name, name")
_SITES: Final = listed("homepage_url, company_homepage_url, website, domain")
_PARTS: Final = listed(
    "company_category_code, company_country_code, company_state_code, company_region, company_city, "
    "company_category_list, company_market"
)


def _currency(_: Record, data: dict[str, Any]) -> None:
    if "amount_usd" in data:
        data["amount"] = data["amount_usd"]
        data["currency"] = "USD"


ROUND: Final = Table(
    name="funding round",
    kind="funding",
    envelope=Envelope(
        record="round",
        key=(
            "company_permalink|company_name",
            "funding_round_permalink|funding_round_type",
            "funded_at",
            "raised_amount_usd",
        ),
        known_as=_COMPANY,
        subject=_SITES,
        time=("funded_at", "announced_at"),
        utc=True,
    ),
    data={
        "round": field("round", "funding_round_type"),
        "amount_usd": field("money", "raised_amount_usd"),
        "code": field("text", "funding_round_code"),
    },
    ignored=(*_PARTS, "funded_month", "funded_quarter", "funded_year"),
    refine=_currency,
)
COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("permalink|name",),
        known_as=_COMPANY,
        subject=_SITES,
        time=listed("last_milestone_at, last_funding_at, first_funding_at, founded_at"),
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "name"),
        "industry": field("text", "category_code, market, category_list"),
        "status": field("term", "status"),
        "country": field("country", "country_code"),
        "region": field("text", "region"),
        "city": field("text", "city"),
        "funding_total_usd": field("money", "funding_total_usd"),
        "funding_rounds": field("number", "funding_rounds"),
    },
    ignored=listed("state_code, founded_month, founded_quarter, founded_year, founded_at"),
)
ACQUISITION: Final = Table(
    name="acquisition",
    kind="firmographic",
    envelope=Envelope(
        record="acquisition",
        key=("company_permalink|company_name", "acquirer_permalink|acquirer_name", "acquired_at"),
        known_as=_COMPANY,
        subject=_SITES,
        time=("acquired_at",),
        utc=True,
    ),
    data={
        "acquired_by": field("text", "acquirer_name"),
        "acquisition_amount": field("number", "price_amount"),
        "acquisition_currency": field("text", "price_currency_code"),
    },
    constants={"status": "acquired"},
    ignored=(
        *_PARTS,
        *listed(
            "acquirer_category_code, acquirer_country_code, acquirer_state_code, acquirer_region, "
            "acquirer_city, acquired_month, acquired_quarter, acquired_year, acquirer_market, "
            "acquirer_category_list"
        ),
    ),
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    if record.has("funding_round_type", "funded_at"):
        yield ROUND, one
    elif record.has("acquirer_permalink", "acquired_at", "acquirer_name"):
        yield ACQUISITION, one
    elif record.has("permalink", "category_code", "funding_total_usd"):
        yield COMPANY, one
    else:
        yield RefusedEvent(
            "no-record", "neither a round, a company nor an acquisition of the export is recognized"
        )


ADAPTER: Final = Adapter(
    name="crunchbase-2013",
    title="CrunchBase 2013",
    reads="the CSV files of rounds, companies and acquisitions of the export of October 2013 (CC-BY, CrunchBase)",
    tables=(ROUND, COMPANY, ACQUISITION),
    split=split_by(_choose),
    notes="The export names companies by permalink: give their domains with `--domains`. Rows that repeat a round exactly are one event. "
    "A round with another amount or day is another fact.",
)
