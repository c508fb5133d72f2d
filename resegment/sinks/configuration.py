"""Define the file of sinks, `sinks.yaml`: its keys, and what each may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from resegment.sinks.port import Part
from resegment.sinks.webhook.endpoint import LONGEST, Actions, Seconds, SecretSource

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EVERY = "*"
"""The workflow that stands for all that the sink does not name."""


def _read_url(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError("a URL is text")  # noqa: TRY004  # pydantic takes no TypeError
    try:
        url = urlsplit(given)
        _ = url.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    if not url.hostname or url.scheme not in {"https", "http"}:
        raise ValueError("a URL begins with https:// and a host")
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise ValueError("http is allowed for this machine only: credentials are sent with every request")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("the URL is scheme, host and path only")
    return given.rstrip("/")


Url = Annotated[str, BeforeValidator(_read_url)]


class ContactSource(Part):
    """One place where the contacts of accounts are found."""

    table: Path | None = Field(
        None, description="A CSV or Parquet file with the columns account and email; relative to this file"
    )
    sink: str | None = Field(
        None, description="The name of a sink whose vendor is asked, like HubSpot or Salesforce"
    )
    people: Literal[True] | None = Field(None, description="What events of the kind `people` said")

    @model_validator(mode="after")
    def _one_of_them(self) -> ContactSource:
        if sum(one is not None for one in (self.table, self.sink, self.people)) != 1:
            raise ValueError("set one of table, sink and people")
        return self


class PersonaEntry(Part):
    """The contacts that a persona of a play means, beside those whose `persona` says so."""

    titles: list[str] = Field(
        [], description="Titles, in any spelling: `VP Sales` finds a Vice President of Sales"
    )
    roles: list[str] = Field([], description="Roles, like cro or vp_sales")


class OwnerEntry(Part):
    """A member of a team of the segments file."""

    email: str | None = Field(None, description="The address by which vendors know the member")


class LimitEntry(Part):
    """A limit of requests."""

    requests: int = Field(ge=1, le=1_000_000)
    per: Seconds = Field(le=86_400)


class FieldNames(Part):
    """The vendor's names of the fields that are written to the record of an account."""

    segment: str | None = None
    play: str | None = None
    owner: str | None = None
    since: str | None = Field(None, description="When the account entered its segment; a date and time")
    why: str | None = Field(None, description="Why it is there, in one line")
    next: str | None = Field(None, description="What comes next if nothing new becomes known")

    @property
    def names(self) -> dict[str, str]:
        """Return the vendor's name of each field that is written."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class SinkEntry(Part):
    """One account at one vendor."""

    vendor: str = Field(description="Which vendor it is")
    credentials: dict[str, SecretSource] = Field(
        description="Each with the place of its value: {env: VARIABLE} or {file: PATH}"
    )
    url: Url | None = Field(None, description="The base URL, where it is not the vendor's usual one")
    options: dict[str, Any] = Field({}, description="Options of the vendor")
    workflows: dict[str, dict[str, Any] | None] = Field(
        {}, description="What each workflow means there; `*` is every other workflow"
    )
    actions: Actions = Field(None, description="These actions only; `all` by default")
    owners: dict[str, dict[str, str]] = Field({}, description="What the vendor knows each member by")
    fields: FieldNames | None = Field(None, description="What is written to the record of each account")
    dry_run: bool = Field(False, description="Say what would be sent, and send nothing that changes anything")
    start: Literal["latest", "earliest"] = Field(
        "latest",
        description="Where a new sink starts: at the next command, or at the first that Kafka still has",
    )
    concurrency: int = Field(8, ge=1, le=64, description="Accounts worked on at once")
    limits: list[LimitEntry] | None = Field(None, description="Instead of the vendor's documented limits")
    timeout: Seconds | None = Field(None, le=300, description="For one request")
    settle: Seconds | None = Field(
        None, le=3600, description="After a lost request: how long until it can be looked up"
    )
    give_up_after: Seconds = Field(
        86_400.0, le=LONGEST, description="How old a command may get before it goes to the dead letters"
    )
    first_wait: Seconds = Field(1.0, le=3600, description="Maximum wait before the second attempt")
    longest_wait: Seconds = Field(300.0, le=3600, description="Maximum wait before any attempt")
    open_after: int = Field(5, ge=1, le=1000, description="Failures in a row after which sending pauses")
    pause: Seconds = Field(30.0, le=3600, description="For how long, the first time")


class SinksFile(Part):
    """The file."""

    sinks: dict[str, SinkEntry] = Field(min_length=1)
    contacts: list[ContactSource] = Field(
        [], description="Where contacts are found, the first that has some counts"
    )
    contacts_per_account: int = Field(
        3, ge=1, le=50, description="How many persons of an account are enrolled at most"
    )
    personas: dict[str, PersonaEntry] = Field({}, description="The contacts that each persona means")
    owners: dict[str, OwnerEntry] = Field({}, description="The members of teams")
    tasks: str | None = Field(
        None,
        description="The sink that tells an owner what another sink can't do, and when there is no contact",
    )
