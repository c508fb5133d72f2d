"""Which countries and rates are found, and how money in other currencies becomes US dollars."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.schemas.times import parse_instant
from resegment.sources.normalizers.countries import find_country
from resegment.sources.normalizers.rates import add_usd, find_usd_rate
from tests.unit.sources.adapting import convert


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("Germany", "DE"), ("Deutschland", "DE"), ("Allemagne", "DE"), ("Alemania", "DE"), ("Duitsland", "DE"), ("DEU", "DE"), ("de", "DE"), ("276", "DE"), ("ドイツ", "DE"),
        ("United States", "US"), ("USA", "US"), ("U.S.", "US"), ("u.s.a.", "US"), ("United States of America", "US"), ("États-Unis", "US"), ("UK", "GB"), ("England", "GB"),
        ("The Netherlands", "NL"), ("Holland", "NL"), ("Côte d'Ivoire", "CI"), ("Türkiye", "TR"), ("South Korea", "KR"), ("Czech Republic", "CZ"), ("Österreich", "AT"), ("Brasil", "BR"),
        (" france ", "FR"), ("GBR", "GB"), ("Europe", None), ("Germany, Berlin", None), ("", None), ("Atlantis", None), ("EU", None), ("XX", None),
    ],
)  # fmt: skip
def test_the_country_of_a_name_or_code(raw: str, code: str | None) -> None:
    assert find_country(raw) == code


@given(st.text(max_size=60))
def test_any_text_may_be_a_country(raw: str) -> None:
    found = find_country(raw)
    assert found is None or (len(found) == 2 and found.isupper())


@pytest.mark.parametrize(
    ("currency", "day", "usd", "origin"),
    [
        ("EUR", "2014-03-28", 1.3759, "ECB 2014-03-28"), ("EUR", "2014-03-30", 1.3759, "ECB 2014-03-28"), ("gbp", "2014-03-28", 1.6633, "ECB 2014-03-28"),
        ("JPY", "2014-03-28", 0.0098, "ECB 2014-03-28"),
    ],
)  # fmt: skip
def test_the_rate_of_a_day_is_that_of_the_last_day_with_one(
    currency: str, day: str, usd: float, origin: str
) -> None:
    rate = find_usd_rate(currency, parse_instant(f"{day}T12:00:00Z"))
    assert rate is not None
    assert (round(rate.usd, 4), rate.origin) == (usd, origin)


@pytest.mark.parametrize(
    ("currency", "day"),
    [("EUR", "1998-12-31"), ("EUR", "2090-01-01"), ("XXX", "2014-03-28"), ("RUB", "2024-01-01")],
)
def test_outside_the_table_no_rate_is_known(currency: str, day: str) -> None:
    time = parse_instant(f"{day}T00:00:00Z")
    data: dict[str, Any] = {"amount": 5, "currency": currency}
    assert find_usd_rate(currency, time) is None
    assert "unknown" in (add_usd(data, ["amount"], time) or "")
    assert data == {"amount": 5, "currency": currency}


def test_an_amount_in_dollars_that_the_provider_gives_is_kept() -> None:
    data = {"amount": 5, "amount_usd": 6, "currency": "EUR"}
    assert add_usd(data, ["amount"], parse_instant("2014-03-28T00:00:00Z")) is None
    assert data == {"amount": 5, "amount_usd": 6, "currency": "EUR"}


def test_money_of_an_adapter_is_in_dollars_at_the_rate_of_its_day() -> None:
    round_ = {
        "uuid": "r1", "investment_type": "seed", "announced_on": "2014-03-28", "funded_organization_identifier": {"permalink": "acme"},
        "money_raised": {"value": 1_000_000, "currency": "EUR"},
    }  # fmt: skip
    data = convert("crunchbase", round_, accounts={"acme": "acme.com"}).only().data
    assert (data["amount"], data["currency"], data["amount_usd"], data["rate"]) == (
        1_000_000,
        "EUR",
        1_375_900,
        "ECB 2014-03-28",
    )


def test_a_range_in_another_currency_is_no_range_of_dollars() -> None:
    row = {"Id": "1", "Website": "acme.com", "AnnualRevenue": "€10M-€50M", "LastModifiedDate": "2026-01-01"}
    data = convert("salesforce", row).only().data
    assert {name: data[name] for name in data if "revenue" in name or name == "currency"} == {
        "revenue_raw": "€10M-€50M",
        "revenue_min": 10000000,
        "revenue_max": 50000000,
        "currency": "EUR",
    }


def test_a_currency_without_a_rate_is_said_and_left_in_its_own() -> None:
    round_ = {
        "uuid": "r1", "investment_type": "seed", "announced_on": "2014-03-28", "funded_organization_identifier": {"permalink": "acme"},
        "money_raised": {"value": 1_000_000, "currency": "ARS"},
    }  # fmt: skip
    found = convert("crunchbase", round_, accounts={"acme": "acme.com"})
    assert "amount_usd" not in found.only().data
    assert "no-rate" in [reason for reason, _ in found.remarks]
