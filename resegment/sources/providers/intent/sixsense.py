"""6sense: scores and attributes of companies, as the interfaces give them when they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, objects
from resegment.sources.adapters.tables import Table

_DOMAINS: Final = listed(
    "company.domain, domain, company_domain, 6sense_company_domain, 6sense Domain, website, Account Domain"
)
_TIMES: Final = listed(
    "scored_at, score_date, date, updated_at, timestamp, last_updated, 6sense_last_updated"
)

SCORE: Final = Table(
    name="score of a company for a product",
    kind="intent",
    envelope=Envelope(
        record="score",
        key=(
            "@subject",
            "product|product_display_name|Product",
        ),
        known_as=("company.name", "company_name", "name"),
        subject=_DOMAINS,
        time=_TIMES,
        utc=True,
        identity="snapshot",
    ),
    data={
        "topic": field("text", "product_display_name, product, Product"),
        "score": field(
            "number",
            "company_intent_score, intent_score, Account Intent Score, 6sense_account_intent_score, 6sense "
            "Account Intent Score",
        ),
        "stage": field(
            "term",
            "company_buying_stage, buying_stage, Account Buying Stage, 6sense_account_buying_stage, 6sense "
            "Account Buying Stage",
        ),
        "fit": field(
            "term",
            "company_profile_fit, profile_fit, Account Profile Fit, 6sense_account_profile_fit, 6sense "
            "Account Profile Fit",
        ),
        "fit_score": field(
            "number",
            "company_profile_score, profile_score, 6sense_account_profile_score, 6sense Account Profile Score",
        ),
        "reach": field("term", "reach_score, account_reach_score, 6sense_account_reach_score"),
        "qualified": field("flag", "is_6qa, is_6_qa, 6sense_account_6qa, 6QA"),
        "segments": field("texts", "segments.names, segment_names, segments"),
    },
    constants={"score_scale": 100, "vendor": "6sense"},
    ignored=listed(
        "contact_intent_score, contact_grade, contact_profile_score, contact_profile_fit, company, "
        "scores, segments, confidence, _fivetran_id"
    ),
)
COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("@subject",),
        known_as=("company.name", "name"),
        subject=_DOMAINS,
        time=_TIMES,
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "company.name", "name"),
        "industry": field("text", "company.industry, industry, company.industry_v2.industry"),
        "subindustry": field("text", "company.sub_industry, sub_industry, company.industry_v2.subindustry"),
        "employees": field(
            "count", "company.employee_count, employee_count, company.employee_range, employee_range"
        ),
        "revenue_usd": field(
            "money", "company.annual_revenue, annual_revenue, company.revenue_range, revenue_range"
        ),
        "country": field("country", "company.country", "country"),
        "region": field("text", "company.state", "state"),
    },
    ignored=listed(
        "company, confidence, segments, scores, geo_ip_city, geo_ip_country, geo_ip_state, address, city, "
        "zip, phone, sic, sic_description, naics, naics_description, is_blacklisted, is_6qa, match, "
        "additional_comment, company_match"
    ),
)


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in objects(payload, "results", "data", "companies"):
        if isinstance(one, RefusedEvent):
            yield one
            continue
        record = Record(one)
        scores = record.records(
            "scores.product", "scores.products", "scores", "product_scores", "company.scores.product"
        )
        outer = {key: value for key, value in one.items() if key != "scores"}
        found = False
        for score in scores:
            found = True
            yield SCORE, {**outer, **score.given}
        if not scores and record.has(*SCORE.data["score"].paths, *SCORE.data["stage"].paths):
            found = True
            yield SCORE, one
        if record.has(
            *(path for name in ("employees", "industry", "revenue_usd") for path in COMPANY.data[name].paths)
        ):
            found = True
            yield COMPANY, outer
        if not found:
            yield RefusedEvent("no-record", "neither scores nor attributes of a company are recognized")


ADAPTER: Final = Adapter(
    name="6sense",
    title="6sense",
    reads="company identification, firmographics and scores (JSON), and exports of accounts (CSV)",
    tables=(SCORE, COMPANY),
    split=_split,
    notes="An answer does not say when it was true: pass `--at`. Scores and stages of contacts are left out.",
)
