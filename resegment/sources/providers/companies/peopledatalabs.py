"""People Data Labs: companies, as the interface gives them: how they are, without saying since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored, split_by
from resegment.sources.adapters.tables import Table

COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("id|website|linkedin_id|name",),
        known_as=listed("id, name, display_name, linkedin_url, linkedin_id"),
        subject=("website", "domain", "alternative_domains"),
        time=listed("updated_at, last_updated, as_of, retrieved_at"),
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "display_name", "name"),
        "industry": field("text", "industry", "industry_v2"),
        "employees": field("count", "employee_count", "size"),
        "employees_range": field("text", "size"),
        "revenue_usd": field("money", "inferred_revenue"),
        "country": field("country", "location.country", "location_country"),
        "region": field("text", "location.region", "location_region"),
        "growth_stage": field("term", "latest_funding_stage"),
        "type": field("text", "type"),
        "funding_total_usd": field("number", "total_funding_raised"),
        "funding_rounds": field("number", "number_funding_rounds"),
        "last_funding_on": field("text", "last_funding_date"),
        "ticker": field("text", "ticker"),
        "naics": field("text", "naics.naics_code"),
        "tags": field("texts", "tags"),
        "growth_12m": field("number", "employee_growth_rate.12_month"),
    },
    ignored=listed(
        "headline, summary, founded, linkedin_url, linkedin_slug, facebook_url, twitter_url, profiles, "
        "affiliated_profiles, alternative_names, alternative_domains, mic_exchange, gics_sector, sic, "
        "naics, ultimate_parent, immediate_parent, direct_subsidiaries, all_subsidiaries, "
        "ultimate_parent_ticker, ultimate_parent_mic_exchange, average_employee_tenure, "
        "average_tenure_by_role, average_tenure_by_level, employee_count_by_country, "
        "employee_count_by_month, employee_count_by_month_by_level, employee_count_by_month_by_role, "
        "employee_count_by_class, employee_count_by_role, employee_count_by_month_by_role_and_level, "
        "employee_churn_rate, employee_growth_rate, employee_growth_rate_12_month_by_role, "
        "gross_additions_by_month, gross_departures_by_month, recent_exec_hires, recent_exec_departures, "
        "top_next_employers_by_role, top_previous_employers_by_role, top_us_employee_metros, "
        "funding_stages, funding_details, inferred_revenue_range, likelihood, status, dataset_version, "
        "location, linkedin_follower_count, linkedin_employee_count, strategic_areas, logo_url"
    ),
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    if record.has("full_name", "first_name", "job_title", "linkedin_username"):
        yield ignored("person", "a person is no account", "full_name")
    elif record.has("website", "size", "employee_count", "display_name", "name"):
        yield COMPANY, one
    else:
        yield RefusedEvent("no-record", "no company is recognized")


ADAPTER: Final = Adapter(
    name="peopledatalabs",
    title="People Data Labs",
    reads="companies (JSON, JSON Lines or CSV)",
    tables=(COMPANY,),
    split=split_by(_choose, "data"),
    ignored={"person": "a person is no account"},
    notes="An answer does not say when it was true: pass `--at`. Where `employee_count` is missing, the range in `size` is kept as its bounds.",
)
