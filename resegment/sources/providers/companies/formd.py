"""SEC Form D: notices of exempt offerings, as XML filings, JSON or the tables of the quarterly data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_text
from resegment.sources.adapters.splitting import Pair, ignored, split_by
from resegment.sources.adapters.tables import Table
from resegment.sources.adapters.values import read_number

_OFFER: Final = "offeringData"


def _refine(record: Record, data: dict[str, Any]) -> None:
    """Add the kind of the offering. An amount that is Indefinite is unknown."""
    debt = _flag(record, "offeringData.typesOfSecuritiesOffered.isDebtType", "isDebtType")
    equity = _flag(record, "offeringData.typesOfSecuritiesOffered.isEquityType", "isEquityType")
    fund = _flag(
        record,
        "offeringData.typesOfSecuritiesOffered.isPooledInvestmentFundType",
        "isPooledInvestmentFundType",
    )
    data["round"] = "debt" if debt and not equity else "other"
    data["currency"] = "USD"
    if fund or str(data.get("industry", "")).lower().startswith("pooled"):
        data["pooled_fund"] = True
    if "amount_usd" in data:
        data["amount"] = data["amount_usd"]
    offered = as_text(
        record.find("offeringData.offeringSalesAmounts.totalOfferingAmount", "totalOfferingAmount")
    )
    if offered is not None and offered.lower() != "indefinite":
        try:
            data["offering_amount_usd"] = read_number(offered)
        except ValueError:
            data["offering_amount_raw"] = offered


def _flag(record: Record, *paths: str) -> bool:
    return str(record.find(*paths)).lower() in ("true", "1", "y", "yes")


FILING: Final = Table(
    name="notice of an offering",
    kind="funding",
    envelope=Envelope(
        record="formd",
        key=(
            "offeringData.typeOfFiling.newOrAmendment.previousAccessionNumber|previousAccessionNumber|accessionNumber|accession_number|accessionNo|cik",
            "dateless",
        ),
        known_as=listed(
            "primaryIssuer.cik, cik, primaryIssuer.entityName, entityName, issuer.cik, entity_name, "
            "companyName"
        ),
        subject=("website", "domain", "company_domain"),
        time=listed(
            "offeringData.typeOfFiling.dateOfFirstSale.value, dateOfFirstSale.value, dateOfFirstSale, "
            "sale_date, offeringData.signatureBlock.signature.signatureDate, "
            "signatureBlock.signature.signatureDate, filingDate, filing_date, filedAt"
        ),
        recorded=listed(
            "filedAt, filingDate, filing_date, acceptanceDateTime, "
            "offeringData.signatureBlock.signature.signatureDate, signatureBlock.signature.signatureDate, "
            "signatureDate"
        ),
        utc=True,
    ),
    data={
        "name": field("text", "primaryIssuer.entityName, entityName, entity_name, companyName"),
        "amount_usd": field(
            "money", "offeringData.offeringSalesAmounts.totalAmountSold, totalAmountSold, total_amount_sold"
        ),
        "industry": field(
            "text", "offeringData.industryGroup.industryGroupType, industryGroupType, industryGroup"
        ),
        "revenue_range": field("text", "offeringData.issuerSize.revenueRange", "revenueRange"),
        "investors_count": field(
            "number", "offeringData.investors.totalNumberAlreadyInvested", "totalNumberAlreadyInvested"
        ),
        "submission": field("text", "submissionType", "submission_type"),
        "region": field(
            "text",
            "primaryIssuer.issuerAddress.stateOrCountryDescription",
            "issuerAddress.stateOrCountryDescription",
        ),
    },
    ignored=listed(
        "schemaVersion, testOrLive, relatedPersonsList, issuerList, notificationAddressList, "
        "offeringData, primaryIssuer"
    ),
    refine=_refine,
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    inner = record.find("edgarSubmission", "formData")
    if isinstance(inner, Mapping):
        one = {**inner, **{str(name): value for name, value in one.items() if not isinstance(value, Mapping)}}
        record = Record(one)
    kind = (record.find_text("submissionType", "submission_type", "formType", "form_type") or "").upper()
    if kind and kind not in ("D", "D/A"):
        yield ignored(kind, "only Form D and its amendments are offerings", "submissionType")
    elif not record.has("primaryIssuer", "entityName", "entity_name", "cik", "companyName"):
        yield RefusedEvent("no-record", "no issuer is named", field="primaryIssuer")
    else:
        yield FILING, {**one, "cik": record.find("primaryIssuer.cik", "cik"), "dateless": _offering(record)}


def _offering(record: Record) -> str | None:
    """Return what tells the offerings of an issuer apart where the filing does not have its accession number."""
    if record.find(
        "offeringData.typeOfFiling.newOrAmendment.previousAccessionNumber",
        "previousAccessionNumber",
        "accessionNumber",
        "accession_number",
        "accessionNo",
    ):
        return None
    return record.find_text(
        "offeringData.typeOfFiling.dateOfFirstSale.value",
        "dateOfFirstSale",
        "offeringData.signatureBlock.signature.signatureDate",
    )


ADAPTER: Final = Adapter(
    name="formd",
    title="SEC Form D",
    reads="filings in XML, and their fields in JSON or CSV",
    tables=(FILING,),
    split=split_by(_choose, "filings", "data"),
    ignored={"forms other than D and D/A": "only Form D and its amendments are offerings"},
    notes="A filing names no domain: give the domains of CIK numbers or legal names with `--domains`. An amendment (D/A) is a revision of "
    "the filing that it names.",
)
