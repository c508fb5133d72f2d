"""Coresignal: companies, jobs and webhooks about members and companies that match a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.adapters.tables import Table

_DOMAINS: Final = listed(
    "website, company_website, company.website, company_domain, domain, unique_domain, websites_main, "
    "website_url, company_website_url"
)
_KNOWN: Final = listed("company_id, company_name, id, member_id, employee_id, job_id, company_shorthand_name")
_STATUSES: Final = {
    "started_matching_query": "joined",
    "stopped_matching_query": "left",
    "changed": "promoted",
}

COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        learns=("id", "company_id"),
        key=("id|company_id|source_id|@subject",),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=listed("last_updated_at, last_updated, updated_at, checked_at"),
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "company_name", "name"),
        "industry": field("text", "industry"),
        "employees": field(
            "count", "employees_count, size_employees_count, size, size_range, employees_count_inferred"
        ),
        "revenue_usd": field(
            "money",
            "revenue_annual.source_5_annual_revenue.annual_revenue, revenue_annual, annual_revenue, "
            "revenue_annual_range",
        ),
        "country": field(
            "country", "hq_country, headquarters_country_parsed, location_hq_country, headquarters_country"
        ),
        "region": field("text", "hq_region", "hq_state"),
        "technologies": field("technologies", "technologies_used", "technologies"),
        "growth_stage": field("term", "last_funding_round_name", "last_funding_round_type"),
        "status": field("term", "status.value", "status"),
    },
    ignored=listed(
        "description, description_enriched, logo, logo_url, founded, followers, followers_count_linkedin, "
        "specialities, categories_and_keywords, hq_location, hq_full_address, hq_city, hq_street, "
        "hq_zipcode, ticker, is_public, type, linkedin_url, source_id, last_funding_round_amount_raised, "
        "last_funding_round_announced_date, funding_rounds, created, deleted, url, hash, sic_codes, "
        "naics_codes, employees_count_change, employees_count_by_month, active_job_postings, "
        "active_job_postings_count, key_executives, competitors, parent_company_information"
    ),
)
_JOB: Final = {
    "job": field("text", "id", "job_id"),
    "title": field("job", "title", "job_title"),
    "location": field("text", "location", "country"),
    "seniority": field("term", "seniority"),
    "url": field("text", "url, external_url, redirected_url"),
}
_JOB_IGNORED: Final = listed(
    "company_name, company_url, company_id, description, employment_type, time_posted, "
    "applicants_count, hash, linkedin_job_id, salary, application_active, deleted, last_updated, "
    "job_functions, job_function, created"
)
JOB: Final = Table(
    name="job",
    kind="hiring",
    envelope=Envelope(
        record="job",
        key=("id|job_id",),
        known_as=("company_id", "company_name", "company_url"),
        subject=_DOMAINS,
        time=listed("created, created_at, time_posted, date_posted"),
        recorded=("created", "created_at"),
        utc=True,
    ),
    data=_JOB,
    constants={"change": "opened"},
    ignored=_JOB_IGNORED,
)
CLOSED: Final = Table(
    name="job that no longer takes applications",
    kind="hiring",
    envelope=Envelope(
        record="job-closed",
        key=("id|job_id",),
        known_as=("company_id", "company_name", "company_url"),
        subject=_DOMAINS,
        time=("last_updated", "last_updated_at", "valid_through"),
        recorded=("last_updated", "last_updated_at"),
        utc=True,
    ),
    data=_JOB,
    constants={"change": "closed"},
    ignored=_JOB_IGNORED,
)


def _status(record: Record, data: dict[str, Any]) -> None:
    data["change"] = _STATUSES[str(record.find("status"))]


MEMBER: Final = Table(
    name="member of a query",
    kind="leadership",
    envelope=Envelope(
        record="member",
        key=("member_id|employee_id|id", "status", "@time"),
        known_as=listed("company_id, company_name, member_id, employee_id"),
        subject=_DOMAINS,
        time=listed("timestamp, updated_at, last_updated, last_updated_at, date"),
        utc=True,
    ),
    data={
        "title": field("leader", "title, job_title, headline, active_experience_title"),
        "person": field("text", "full_name, name, member_id, employee_id"),
        "changed_fields": field("texts", "changed_fields"),
    },
    ignored=listed("status, subscription_id, profile_url, company_id"),
    refine=_status,
)


def _choose(one: Mapping[str, Any], context: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    status = record.find_text("status")
    if record.has("member_id", "employee_id", "changed_fields") and status is not None:
        if status not in _STATUSES:
            yield unknown(status, "status")
        elif (
            record.find(*_DOMAINS) is None
            and not context.account
            and not any(
                name in context.accounts
                for path in MEMBER.envelope.known_as
                if (name := record.find_text(path))
            )
        ):
            yield RefusedEvent(
                "no-account",
                "the message names a member by id only: read the member from the interface, or pass --domains",
                field="member_id",
            )
        elif status == "changed" and not {"title", "job_title", "headline", "experience"} & {
            str(one).lower() for one in as_list(record.find("changed_fields"))
        }:
            yield ignored(status, "the change is not about a title", "changed_fields")
        else:
            yield MEMBER, one
    elif status in _STATUSES:
        yield ignored(
            status or "",
            "the message names a company by id only: read the company from the interface",
            "status",
        )
    elif record.has("application_active", "linkedin_job_id", "job_title", "time_posted") or (
        record.has("title") and record.has("company_name", "company_id")
    ):
        yield JOB, one
        if str(record.find("application_active")).lower() in ("0", "false") or str(
            record.find("deleted")
        ).lower() in ("1", "true"):
            yield CLOSED, one
    elif record.has("employees_count", "industry", "website", "size_range", "company_name"):
        yield COMPANY, one
    else:
        yield RefusedEvent("no-record", "neither a company, a job nor a message about a query is recognized")


ADAPTER: Final = Adapter(
    name="coresignal",
    title="Coresignal",
    reads="companies, jobs, and webhooks of queries (a JSON array)",
    tables=(COMPANY, JOB, CLOSED, MEMBER),
    split=split_by(_choose, "data", "results"),
    notes="A webhook names members by id only: give the domains of the ids with `--domains`, or it is refused. The webhook does not say when: pass `--at`.",
)
