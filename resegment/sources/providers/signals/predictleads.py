"""PredictLeads (v2 and v3): financing events, news, technology detections, job openings and companies, as JSON:API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list
from resegment.sources.adapters.splitting import Pair, ignored, merge_attributes, unknown
from resegment.sources.adapters.tables import Table
from resegment.sources.normalizers.titles import read_title

_DOMAIN: Final = ("company_domain", "domain", "company.domain")
_KNOWN: Final = ("company_id", "company_name")
_STATE: Final = ("record_state", "meta.record_state")
_GONE: Final = frozenset({"deleted", "removed", "retracted", "inactive", "hidden"})
_SOURCES: Final = listed("url, source_urls, source_url, article_url")
_LEFT_OUT: Final = listed(
    "type, id, relationships, links, record_state, meta, company_id, company_name, found_at, "
    "article_sentence, human_approved, image_url"
)


def _op(record: Record) -> Any:
    return "retract" if str(record.find(*_STATE)).lower() in _GONE else "assert"


FINANCING: Final = Table(
    name="financing event",
    kind="funding",
    envelope=Envelope(
        record="financing",
        key=("id",),
        known_as=_KNOWN,
        subject=_DOMAIN,
        time=("effective_date", "found_at", "first_seen_at"),
        recorded=("found_at", "first_seen_at"),
        withdrawn=("updated_at", "last_seen_at"),
        utc=True,
        op=_op,
    ),
    data={
        "round": field("round", "financing_type_normalized, financing_type, financing_type_tags"),
        "amount": field("price", "amount"),
        "amount_usd": field("number", "amount_normalized"),
        "investors": field("texts", "investors", "investor_names"),
        "url": field("text", *_SOURCES),
    },
    ignored=(*_LEFT_OUT, "categories", "company1", "company2"),
)
DETECTION: Final = Table(
    name="technology detection",
    kind="tech",
    envelope=Envelope(
        record="technology",
        key=("id",),
        known_as=_KNOWN,
        subject=_DOMAIN,
        time=("first_seen_at", "found_at"),
        recorded=("first_seen_at", "found_at"),
        withdrawn=("last_seen_at", "updated_at"),
        utc=True,
        op=_op,
    ),
    data={
        "technology": field("technology", "technology_name, technology.name, technology, name"),
        "category": field("text", "technology_categories", "categories"),
        "score": field("number", "score"),
        "behind_firewall": field("flag", "behind_firewall"),
        "last_seen_at": field("time", "last_seen_at"),
    },
    constants={"change": "added"},
    required=("technology",),
    ignored=(
        *_LEFT_OUT,
        *listed("technology_id, seen_on_job_openings, seen_on_subpages, seen_on_dns_records"),
    ),
)
_JOB: Final = {
    "job": field("text", "id"),
    "title": field("job", "title, normalized_title, translated_title"),
    "location": field("text", "location, location_data.city, location_data.country"),
    "url": field("text", "url", "source_url"),
    "seniority": field("term", "seniority"),
    "categories": field("texts", "categories"),
    "technologies": field("technologies", "tags"),
}
_JOB_IGNORED: Final = (
    *_LEFT_OUT,
    *listed(
        "normalized_title, translated_title, description, salary, salary_data, status, language, "
        "contract_types, onet_data, recruiter, last_processed_at, posted_at, location_data, closed"
    ),
)
OPENING: Final = Table(
    name="job opening",
    kind="hiring",
    envelope=Envelope(
        record="job",
        key=("id",),
        known_as=_KNOWN,
        subject=_DOMAIN,
        time=("posted_at", "first_seen_at"),
        recorded=("first_seen_at",),
        withdrawn=("last_seen_at", "updated_at"),
        utc=True,
        op=_op,
    ),
    data=_JOB,
    constants={"change": "opened"},
    ignored=_JOB_IGNORED,
)
CLOSING: Final = Table(
    name="closed job opening",
    kind="hiring",
    envelope=Envelope(
        record="job-closed",
        key=("id",),
        known_as=_KNOWN,
        subject=_DOMAIN,
        time=("closed_at", "last_seen_at"),
        recorded=("closed_at", "last_seen_at"),
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
        key=("@subject",),
        known_as=_KNOWN,
        subject=_DOMAIN,
        time=("updated_at", "last_seen_at"),
        utc=True,
        identity="snapshot",
    ),
    data={
        "name": field("text", "friendly_company_name", "company_name"),
        "country": field("country", "location_data.country", "country"),
        "location": field("text", "location"),
        "parent": field("text", "parent_company_domain"),
        "employees": field("count", "employees", "employee_count"),
    },
    ignored=(
        *_LEFT_OUT,
        *listed(
            "description, meta_title, meta_description, ticker, language, subsidiary_companies, "
            "lookalike_companies, redirects_to, location_data"
        ),
    ),
)

_PEOPLE: Final = {
    "hires": "joined",
    "promotes": "promoted",
    "leaves": "left",
    "retires_from": "left",
    "retires": "left",
}


def _news(record: Record, data: dict[str, Any]) -> None:
    category = str(record.find("category"))
    title = record.find_text("job_title", "title", "position")
    if category in _PEOPLE and not data.get("planned"):
        data["change"] = _PEOPLE[category]
        if title is not None:
            found = read_title(title)
            data.update({"title": title, "role": found.role or "unknown"})
    else:
        data["theme"] = category


_NEWS_DATA: Final = {
    "statement": field("text", "summary", "article_title"),
    "url": field("text", *_SOURCES, "article.url"),
    "confidence": field("number", "confidence"),
    "amount_usd": field("number", "amount_normalized"),
    "location": field("text", "location"),
    "product": field("text", "product"),
    "headcount": field("number", "headcount"),
    "planned": field("flag", "planning"),
}
_NEWS_TIMES: Final = ("effective_date", "found_at", "first_seen_at")
NEWS: Final = Table(
    name="news event",
    kind="strategy",
    envelope=Envelope(
        record="news",
        key=("id",),
        known_as=_KNOWN,
        subject=("company1_domain", *_DOMAIN),
        time=_NEWS_TIMES,
        recorded=("found_at", "first_seen_at"),
        withdrawn=("updated_at",),
        utc=True,
        op=_op,
    ),
    data=_NEWS_DATA,
    ignored=(
        *_LEFT_OUT,
        *listed(
            "category, amount, most_relevant_source, assets, award, contact, event, financing_type, "
            "job_title, location_data, product_data, product_tags, recognition, vulnerability, division, "
            "financing_type_normalized, financing_type_tags"
        ),
    ),
    refine=_news,
)
PEOPLE: Final = Table(
    name="news event about a person",
    kind="leadership",
    envelope=Envelope(
        record="news",
        key=("id",),
        known_as=_KNOWN,
        subject=("company1_domain", *_DOMAIN),
        time=_NEWS_TIMES,
        recorded=("found_at", "first_seen_at"),
        withdrawn=("updated_at",),
        utc=True,
        op=_op,
    ),
    data={
        "person": field("text", "contact, person, assets"),
        "statement": field("text", "summary"),
        "confidence": field("number", "confidence"),
    },
    ignored=(*_LEFT_OUT, "category", "job_title", "most_relevant_source", "planning"),
    refine=_news,
)
_IGNORED: Final = {
    "connection": "links between companies say nothing of one", "github_repository": "repositories give no event", "product": "products give no event",
    "startup_post": "posts give no event", "website_evolution": "pages give no event", "similar_company": "no fact about the account",
    "technology": "included with its detections", "news_article": "included with its events", "subscription": "your own", "portfolio_company": "links say nothing",
}  # fmt: skip


def _split(payload: Any, _: Context) -> Iterator[Pair | Item]:
    for one in as_list(payload):
        if not isinstance(one, Mapping):
            yield RefusedEvent("wrong-payload", "an object is expected")
            continue
        document = Record(one)
        data = document.find("data")
        included = _included(document)
        if isinstance(data, list | Mapping) and not document.has("attributes"):
            for inner in as_list(data):
                if isinstance(inner, Mapping):
                    yield from _resource(inner, included)
                else:
                    yield RefusedEvent("wrong-payload", "an object is expected", field="data")
        else:
            yield from _resource(one, included)


def _included(document: Record) -> dict[tuple[str, str], Record]:
    found: dict[tuple[str, str], Record] = {}
    for one in document.records("included"):
        kind, identity = one.find_text("type"), one.find_text("id")
        if kind is not None and identity is not None:
            found[_single(kind), identity] = one
    return found


def _single(kind: str) -> str:
    word = kind.lower().replace("-", "_")
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s") if word != "news" else word


def _resource(one: Mapping[str, Any], included: Mapping[tuple[str, str], Record]) -> Iterator[Pair | Item]:
    flat = merge_attributes(one, "attributes")
    record = Record(flat)
    for relation in ("company", "company1", "customer", "subject"):
        link = record.records(f"relationships.{relation}.data")
        if link:
            company = included.get(("company", link[0].find_text("id") or ""))
            flat.setdefault("company_id", link[0].find_text("id"))
            if company is not None:
                flat["company_domain"] = company.find_text("attributes.domain", "domain")
                flat["company_name"] = company.find_text("attributes.company_name", "company_name")
            break
    technology = record.records("relationships.technology.data")
    if technology:
        known = included.get(("technology", technology[0].find_text("id") or ""))
        if known is not None:
            flat["technology_name"] = known.find_text("attributes.name", "name")
            flat["technology_categories"] = known.find("attributes.categories", "categories")
    yield from _choose(flat, _single(record.find_text("type") or ""))


def _choose(flat: dict[str, Any], kind: str) -> Iterator[Pair | Item]:
    record = Record(flat)
    if kind == "financing_event" or (not kind and record.has("financing_type", "financing_type_normalized")):
        yield FINANCING, flat
    elif kind == "news_event" or (not kind and record.has("category", "summary")):
        category = str(record.find("category"))
        planned = str(record.find("planning")).lower() == "true"
        yield PEOPLE if category in _PEOPLE and not planned else NEWS, flat
    elif kind == "technology_detection" or (not kind and record.has("behind_firewall")):
        yield DETECTION, flat
    elif kind == "job_opening" or (not kind and record.has("normalized_title", "title")):
        yield OPENING, flat
        if (
            str(record.find("status")).lower() in ("closed", "inactive")
            or str(record.find("closed")).lower() == "true"
            or record.find("closed_at")
        ):
            yield CLOSING, flat
    elif kind in ("company", "companie"):
        yield COMPANY, flat
    elif kind in _IGNORED:
        yield ignored(kind, _IGNORED[kind], "type")
    else:
        yield unknown(kind or "a resource without a type", "type")


ADAPTER: Final = Adapter(
    name="predictleads",
    title="PredictLeads",
    reads="responses and webhooks of the interface v3 (JSON:API)",
    tables=(FINANCING, NEWS, PEOPLE, DETECTION, OPENING, CLOSING, COMPANY),
    split=_split,
    ignored=_IGNORED,
    notes="The news categories `hires`, `promotes`, `leaves` and `retires_from` become `leadership`. Every other category becomes `strategy` "
    "with the category as its theme, and so do plans (`planning`): nobody was hired yet.",
)
