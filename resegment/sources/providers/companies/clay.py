"""Clay and spreadsheets like it: companies, and persons with a title."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.shapes import ATTRIBUTES
from resegment.sources.adapters.splitting import Pair, split_by
from resegment.sources.adapters.tables import Table, snake_case

_DOMAINS: Final = listed(
    "Company Domain, Domain, Company Website, Website, Company URL, Work Email, Email, Company, URL"
)
_TITLES: Final = listed("Job Title, Title, New Title, Current Title, Latest Experience Title, Position")
_STARTED: Final = listed(
    "Start Date, Started At, Job Start Date, New Job Start Date, Latest Experience Start Date, "
    "Joined, Started On, Hire Date, Date"
)

LEADER: Final = Table(
    name="person with a title",
    kind="leadership",
    envelope=Envelope(
        record="person",
        key=(
            "@subject",
            "Full Name|Name|LinkedIn URL|LinkedIn Profile|Work Email|First Name",
            "|".join(_TITLES),
            "@time",
        ),
        known_as=("Company Name", "Company", "Company LinkedIn URL"),
        subject=_DOMAINS,
        time=_STARTED,
        utc=True,
    ),
    data={
        "title": field("leader", *_TITLES),
        "person": field("text", "Full Name, Name, Person, LinkedIn URL, Work Email, Last Name"),
        "previous_company": field("text", "Previous Company", "Previous Company Name"),
        "url": field("text", "LinkedIn URL, LinkedIn Profile, Person LinkedIn URL"),
    },
    constants={"change": "joined"},
    required=("title",),
    ignored=listed(
        "Company Name, First Name, Last Name, Location, City, Country, Headline, Summary, Phone, Industry"
    ),
)
COMPANY: Final = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("@subject",),
        known_as=listed("Company Name, Name, Company, LinkedIn URL"),
        subject=_DOMAINS,
        time=listed("Updated At, Last Updated, Enriched At, Last Run, Date, Created At"),
        utc=True,
        identity="snapshot",
    ),
    data={
        **ATTRIBUTES,
        "technologies": field("technologies", "Technologies, Tech Stack, Technologies Used, Tech"),
        "location": field("text", "Location, Headquarters, Locality"),
        "growth_stage": field("term", "Funding Stage, Latest Funding Stage, Last Funding Type"),
    },
    ignored=listed(
        "LinkedIn URL, Description, Logo, Company LinkedIn URL, Find companies, Enrich Company, Founded, Type"
    ),
    rest=snake_case,
)


_KNOWN: Final = tuple(path for one in COMPANY.data.values() for path in one.paths)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    if record.has(*_TITLES) and record.has(
        "Full Name", "Name", "First Name", "LinkedIn URL", "Person", "LinkedIn Profile"
    ):
        yield LEADER, one
    elif record.has(*_DOMAINS) and record.find(*_KNOWN) is not None:
        yield COMPANY, one
    else:
        yield RefusedEvent("no-record", "neither a company nor a person with a title is recognized")


ADAPTER: Final = Adapter(
    name="clay",
    title="Clay",
    reads="tables as CSV or JSON: companies, and persons with a title and the start of their job",
    tables=(LEADER, COMPANY),
    split=split_by(_choose, "data", "rows"),
    notes="A person with a title and a start date is a leader who joined. Companies do not say when they were looked up: pass `--at`. Other columns of a company become attributes.",
)
