"""TheirStack: webhooks and searches for jobs, companies and technologies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list
from resegment.sources.adapters.splitting import Pair, split_by, unknown
from resegment.sources.adapters.tables import Table

_DOMAINS: Final = listed(
    "company_domain, company_object.domain, company.domain, domain, company_object.possible_domains, "
    "possible_domains, company_url, url_company"
)
_KNOWN: Final = listed("company_object.id, company_object.name, company_name, company, id, name")
_JOB_KNOWN: Final = (*_KNOWN, "job_id")
_OWN: Final = ("id", "job_id", "name")
_JOB: Final = {
    "job": field("text", "id"),
    "title": field("job", "job_title, title, normalized_title"),
    "location": field("text", "location, long_location, short_location"),
    "remote": field("flag", "remote"),
    "url": field("text", "final_url, url, source_url"),
    "seniority": field("term", "seniority"),
    "technologies": field("technologies", "technology_slugs", "technology_names"),
}
_JOB_IGNORED: Final = listed(
    "company, company_object, hiring_team, has_blurred_data, discovered_at, date_posted, reposted, "
    "date_reposted, country, country_code, country_codes, countries, cities, postal_code, state_code, "
    "latitude, longitude, hybrid, salary_string, min_annual_salary, max_annual_salary, "
    "min_annual_salary_usd, max_annual_salary_usd, avg_annual_salary_usd, salary_currency, "
    "description, employment_statuses, easy_apply, manager_roles, matching_phrases, matching_words, "
    "keyword_slugs, locations, normalized_title, source_url, closed_at, status, continents"
)
JOB: Final = Table(
    name="job",
    kind="hiring",
    envelope=Envelope(
        record="job",
        learns=("id", "job_id"),
        key=("id|job_id",),
        known_as=_JOB_KNOWN,
        own=_OWN,
        subject=_DOMAINS,
        time=("date_posted", "discovered_at"),
        recorded=("discovered_at",),
        utc=True,
    ),
    data=_JOB,
    constants={"change": "opened"},
    ignored=_JOB_IGNORED,
)
REPOST: Final = Table(
    name="reposted job",
    kind="hiring",
    envelope=Envelope(
        record="job-reposted",
        key=("id|job_id", "date_reposted"),
        known_as=_JOB_KNOWN,
        own=_OWN,
        subject=_DOMAINS,
        time=("date_reposted",),
        recorded=("date_reposted",),
        utc=True,
    ),
    data=_JOB,
    constants={"change": "reopened"},
    ignored=_JOB_IGNORED,
)
CLOSED: Final = Table(
    name="closed job",
    kind="hiring",
    envelope=Envelope(
        record="job-closed",
        key=("id|job_id",),
        known_as=_JOB_KNOWN,
        own=_OWN,
        subject=_DOMAINS,
        time=("closed_at", "date_closed"),
        recorded=("closed_at",),
        utc=True,
    ),
    data=_JOB,
    constants={"change": "closed"},
    ignored=_JOB_IGNORED,
)
COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("id|@subject",),
        known_as=_KNOWN,
        subject=_DOMAINS,
        time=("updated_at", "discovered_at", "event_at"),
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "name"),
        "industry": field("text", "industry"),
        "employees": field("count", "employee_count", "employee_count_range"),
        "revenue_usd": field("money", "annual_revenue_usd", "annual_revenue_usd_readable"),
        "country": field("country", "country", "country_code"),
        "growth_stage": field("term", "funding_stage"),
        "technologies": field("technologies", "technology_slugs", "technology_names"),
        "funding_total_usd": field("money", "total_funding_usd"),
        "last_funding_on": field("text", "last_funding_round_date"),
    },
    ignored=listed(
        "num_jobs, num_jobs_last_30_days, num_technologies, logo, linkedin_url, linkedin_id, url, "
        "url_source, is_recruiting_agency, yc_batch, apollo_id, founded_year, "
        "last_funding_round_amount_readable, num_jobs_found, alexa_ranking, publicly_traded_symbol, "
        "publicly_traded_exchange, investors, city, long_description, seo_description, postal_code, "
        "company_keywords, industry_id, technologies_found, has_blurred_data, possible_domains, "
        "revenue_usd, fortune_500_rank"
    ),
)
TECHNOLOGY: Final = Table(
    name="technology of a company",
    kind="tech",
    envelope=Envelope(
        record="technology",
        key=("@subject", "technology.slug|technology_slug|slug|technology"),
        known_as=_KNOWN,
        own=_OWN,
        subject=_DOMAINS,
        time=listed("first_date_found, first_seen_at, discovered_at, theirstack_first_date_found"),
        recorded=("discovered_at", "first_date_found"),
        utc=True,
    ),
    data={
        "technology": field(
            "technology",
            "technology.slug, technology_slug, technology.name, technology_name, technology, slug",
        ),
        "category": field("text", "technology.category", "category"),
        "level": field("term", "confidence"),
        "jobs": field("number", "jobs"),
    },
    constants={"change": "added"},
    required=("technology",),
    ignored=listed(
        "last_date_found, jobs_last_7_days, jobs_last_30_days, jobs_last_180_days, rank_within_category, "
        "relative_occurrence_within_category, company, company_object"
    ),
)
_EVENTS: Final = {
    "job.new": "job",
    "job.closed": "closed",
    "job.reposted": "repost",
    "company.new": "company",
    "company.updated": "company",
    "tech.new": "tech",
    "technology.new": "tech",
}


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    event = (record.find_text("type", "event_type", "event") or "").lower()
    inner = record.find("payload", "data")
    if event and isinstance(inner, Mapping | list):
        kind = _EVENTS.get(event)
        if kind is None:
            yield unknown(event, "type")
            return
        at = record.find("created_at", "event_at", "timestamp")
        for each in as_list(inner):
            if isinstance(each, Mapping):
                yield from _by_kind(kind, {"event_at": at, **each})
            else:
                yield RefusedEvent("wrong-payload", "an object is expected", field="payload")
    elif isinstance(inner, list):
        for each in inner:
            if isinstance(each, Mapping):
                yield from _choose(each, _)
    elif record.has("job_title", "date_posted", "final_url"):
        yield from _by_kind("job", one)
    elif record.has("technology") or record.has("technology_slug"):
        yield from _by_kind("tech", one)
    elif record.has("domain", "employee_count", "possible_domains", "num_jobs"):
        yield from _by_kind("company", one)
    else:
        yield RefusedEvent("no-record", "neither a job, a company nor a technology is recognized")


def _by_kind(kind: str, one: Mapping[str, Any]) -> Iterator[Pair]:
    record = Record(one)
    if kind == "closed":
        yield CLOSED, one
    elif kind == "company":
        yield COMPANY, one
    elif kind == "tech":
        yield TECHNOLOGY, one
    else:
        yield JOB, one
        if kind == "repost" or record.find("date_reposted") is not None:
            yield REPOST, one
        if record.find("closed_at") is not None:
            yield CLOSED, one


ADAPTER: Final = Adapter(
    name="theirstack",
    title="TheirStack",
    reads="webhooks (job.new, job.closed, company.new, tech.new) and responses of the interface",
    tables=(JOB, REPOST, CLOSED, COMPANY, TECHNOLOGY),
    split=split_by(_choose, "jobs", "results"),
    notes="The id of a delivery is not the fact's: a webhook that is sent again is the same event.",
)
