"""Rows of databases and warehouses: those of known tools as their adapters read them, and others that describe a company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.connect import GONE, STAMP, TABLE
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import listed
from resegment.sources.adapters.port import Context, Item, Split
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.shapes import ATTRIBUTES, DOMAINS
from resegment.sources.adapters.splitting import Pair, ignored
from resegment.sources.adapters.tables import Table, snake_case
from resegment.sources.providers.crm import hubspot, salesforce
from resegment.sources.providers.visits import segment

COMPANY: Final = Table(
    name="row of a company",
    kind="firmographic",
    envelope=Envelope(
        record="row",
        key=(TABLE, "id|uuid|company_id|account_id|key|domain|website"),
        known_as=listed("id, uuid, company_id, account_id, name"),
        subject=(*DOMAINS, "email"),
        time=(
            "updated_at",
            "updatedAt",
            "modified_at",
            "last_modified",
            "last_modified_date",
            "lastmodifieddate",
            STAMP,
            "_sdc_extracted_at",
            "_fivetran_synced",
            "created_at",
        ),
        recorded=(STAMP,),
        utc=True,
        identity="snapshot",
    ),
    data=ATTRIBUTES,
    ignored=(
        "is_deleted",
        GONE,
        TABLE,
        "__op",
        "__source_ts_ms",
        "__lsn",
        "_sdc_batched_at",
        "_sdc_received_at",
        "_sdc_sequence",
        "_sdc_table_version",
        "_sdc_deleted_at",
        "_dlt_id",
        "_dlt_load_id",
    ),
    rest=lambda name: None if name.startswith("_") else snake_case(name),
)

_SEGMENT: Final = frozenset({"tracks", "pages", "screens", "groups", "identifies"})


def split_rows(unwrap: Callable[[Any], Iterator[dict[str, Any] | RefusedEvent]]) -> Split:
    """Return a split for the rows that `unwrap` finds in a payload."""

    def split(payload: Any, context: Context) -> Iterator[Pair | Item]:
        for row in unwrap(payload):
            if isinstance(row, RefusedEvent):
                yield row
            else:
                yield from _choose(row, context)

    return split


def _choose(row: Mapping[str, Any], context: Context) -> Iterator[Pair | Item]:
    record = Record(row)
    table = (record.find_text(TABLE) or "").rpartition(".")[2].rpartition("-")[2].lower()
    if record.has("SystemModstamp", "StageName", "AnnualRevenue", "BillingCountry") or table in (
        "account",
        "opportunity",
    ):
        kind = {"account": "Account", "opportunity": "Opportunity"}.get(table)
        yield from salesforce.ADAPTER.split({**row, "attributes": {"type": kind}} if kind else row, context)
    elif record.has(
        "hs_object_id",
        "hs_lastmodifieddate",
        "dealstage",
        "dealname",
        "properties",
        "property_domain",
        "property_name",
    ):
        yield from hubspot.ADAPTER.split(row, context)
    elif table in _SEGMENT or record.has("anonymous_id", "context_page_url"):
        yield from segment.ADAPTER.split(
            {"type": table.rstrip("s").replace("identifie", "identify"), **row} if table in _SEGMENT else row,
            context,
        )
    elif record.find(*DOMAINS) is None and context.account is None and not context.accounts:
        yield RefusedEvent(
            "no-account", "the row has no domain of a company: say with --map what it means", field="domain"
        )
    elif record.find(GONE) is True:
        yield ignored("a deletion", "the account stays: its row was deleted", GONE)
    else:
        yield COMPANY, row
