"""RB2B: persons who visited your site, from webhooks and CSV exports."""

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

_DOMAINS: Final = listed(
    "Website, Company Website, Company Domain, Domain, Business Email, Work Email, Email"
)
_SEEN: Final = listed("Seen At, Last Seen At, First Seen At, Timestamp, Visited At")

VISIT: Final = Table(
    name="visit",
    kind="engagement",
    envelope=Envelope(
        record="visit",
        key=(
            "LinkedIn URL|Business Email|Email|Full Name|First Name|@subject",
            "@time",
            "Captured URL|Page URL|URL",
        ),
        known_as=("Company Name", "Company"),
        subject=_DOMAINS,
        time=_SEEN,
        utc=True,
        order="mdy",
    ),
    data={
        "url": field("text", "Captured URL, Page URL, URL, Recent Page URLs"),
        "person": field("text", "LinkedIn URL, Full Name, Business Email, Email, Last Name, First Name"),
        "persona": field("text", "Title", "Job Title"),
        "referrer": field("text", "Referrer"),
        "tags": field("texts", "Tags", "Tag"),
        "repeat": field("flag", "is_repeat_visit", "Is Repeat Visit"),
    },
    constants={"action": "page_view"},
    ignored=listed(
        "First Name, Last Name, Full Name, City, State, Zipcode, Zip Code, Business Email, Company Name, "
        "Industry, Employee Count, Estimate Revenue, Estimated Revenue, All Time Page Views, Page Views, "
        "New Profile?"
    ),
)
COMPANY: Final = Table(
    name="company of a visitor",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("@subject",),
        known_as=("Company Name", "Company"),
        subject=listed("Website, Company Website, Company Domain, Domain"),
        time=_SEEN,
        utc=True,
        order="mdy",
        identity="snapshot",
    ),
    data={
        "name": field("text", "Company Name", "Company"),
        "industry": field("text", "Industry"),
        "employees": field("count", "Employee Count, Estimated Employee Count, Employees"),
        "revenue_usd": field("money", "Estimate Revenue", "Estimated Revenue"),
    },
    ignored=listed(
        "LinkedIn URL, First Name, Last Name, Title, Business Email, City, State, Zipcode, Captured URL, "
        "Referrer, Tags"
    ),
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    if not record.has(*_SEEN, "Captured URL", "LinkedIn URL"):
        yield RefusedEvent("no-record", "no visit is recognized", field="Seen At")
        return
    yield VISIT, one
    if record.find(*COMPANY.envelope.subject) and record.find(
        "Industry", "Employee Count", "Estimate Revenue", "Estimated Revenue"
    ):
        yield COMPANY, one


ADAPTER: Final = Adapter(
    name="rb2b",
    title="RB2B",
    reads="webhooks and CSV exports of visitors",
    tables=(VISIT, COMPANY),
    split=split_by(_choose, "data", "visits"),
    notes="A visit has no id: its record is the person, the time and the page.",
)
