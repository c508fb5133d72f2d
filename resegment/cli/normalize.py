"""`resegment normalize`: what titles, rounds, money, domains, countries and technologies become."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from resegment.cli.options import time_option

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment normalize title "Vice President, Sales" "Assistant to the CRO"

resegment normalize money '$1.2M'

resegment normalize money 'EUR 5m' --at 2026-01-30

cut -d, -f3 people.csv | resegment normalize title -
"""


class What(StrEnum):
    """What a text names."""

    TITLE = "title"
    ROUND = "round"
    MONEY = "money"
    HEADCOUNT = "headcount"
    DOMAIN = "domain"
    TECHNOLOGY = "technology"
    COUNTRY = "country"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(normalize)


def normalize(
    what: Annotated[What, typer.Argument(metavar="WHAT", help=f"One of {', '.join(What)}.")],
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="Texts, or - for the lines of standard input.")
    ],
    at: Annotated[
        int | None, time_option("The day of money, to convert it to US dollars at the rate of the ECB.")
    ] = None,
) -> None:
    """Print what each text becomes, as JSON Lines. A text that means nothing has an error, and no other value."""
    from resegment.console.terminal import write_json_lines

    write_json_lines(sys.stdout.buffer, ({"text": text, **_read(what, text, at)} for text in _texts(texts)))


def _texts(given: list[str]) -> Iterator[str]:
    for text in given:
        if text == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin)
        else:
            yield text


def _read(what: What, text: str, at: int | None) -> dict[str, Any]:
    from resegment.errors import RefusedEvent

    try:
        found = _READERS[what](text)
        if at is not None and found.get("currency"):
            _add_usd(found, at)
    except ValueError as error:
        return {"error": str(error)}
    except RefusedEvent as error:
        return {"error": error.message}
    return found


def _add_usd(found: dict[str, Any], at: int) -> None:
    from resegment.sources.normalizers.rates import add_usd

    unknown = add_usd(found, ["amount"], at)
    if unknown is not None:
        found["note"] = unknown


def _title(text: str) -> dict[str, Any]:
    from resegment.sources.normalizers.titles import read_title

    found = read_title(text)
    return {name: value or "unknown" for name, value in found._asdict().items()}


def _round(text: str) -> dict[str, Any]:
    from resegment.sources.normalizers.rounds import normalize_round

    return {"round": normalize_round(text)}


def _money(text: str) -> dict[str, Any]:
    from resegment.sources.adapters.values import Money, read_money_range

    found = read_money_range(text)
    if isinstance(found, Money):
        return {"amount": found.amount, "currency": found.currency}
    return {"min": found.low, "max": found.high, "currency": found.currency}


def _headcount(text: str) -> dict[str, Any]:
    from resegment.sources.adapters.values import Range, read_count

    found = read_count(text)
    return {"min": found.low, "max": found.high} if isinstance(found, Range) else {"employees": found}


def _domain(text: str) -> dict[str, Any]:
    from resegment.identity.aliases import resolve_account

    return {"domain": resolve_account(text)}


def _technology(text: str) -> dict[str, Any]:
    from resegment.sources.normalizers.technologies import find_technology

    found = find_technology(text)
    return {"technology": found.slug, "name": found.name, "known": found.name is not None}


def _country(text: str) -> dict[str, Any]:
    from resegment.sources.normalizers.countries import find_country

    return {"country": find_country(text) or "unknown"}


_READERS: Final = {
    What.TITLE: _title,
    What.ROUND: _round,
    What.MONEY: _money,
    What.HEADCOUNT: _headcount,
    What.DOMAIN: _domain,
    What.TECHNOLOGY: _technology,
    What.COUNTRY: _country,
}
