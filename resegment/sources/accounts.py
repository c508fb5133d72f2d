"""Read the domains of a provider's own ids, slugs and names."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import orjson

from resegment.errors import RefusedEvent, UserError, explain_os_error
from resegment.identity.domains import registrable_domain


class WrongAccounts(UserError):
    """A file that is not a table of accounts."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy='Write a JSON object like {"ledgerline": "ledgerline.com"}, or a CSV file with two columns.',
        )
        self.path = path


def read_accounts(path: Path) -> dict[str, str]:
    """Return the domain of each id, slug or name, as it is written and in lower case. Raises WrongAccounts.

    A row of a CSV file whose second cell is no domain is its header, or is skipped.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise WrongAccounts(path, explain_os_error(error)) from error
    except UnicodeDecodeError as error:
        raise WrongAccounts(path, "not UTF-8") from error
    pairs = _read_json(path, text) if text.lstrip().startswith("{") else _read_csv(text)
    found: dict[str, str] = {}
    for name, domain in pairs:
        try:
            registrable_domain(domain)
        except RefusedEvent:
            continue
        found[name.strip()] = domain
        found.setdefault(name.strip().lower(), domain)
    if not found:
        raise WrongAccounts(path, "no row has a name and a domain")
    return found


def _read_json(path: Path, text: str) -> list[tuple[str, str]]:
    try:
        table: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WrongAccounts(path, f"not JSON: {error}") from error
    return [(name, domain) for name, domain in table.items() if isinstance(domain, str)]


def _read_csv(text: str) -> list[tuple[str, str]]:
    delimiter = next((one for one in ("\t", ";") if one in text.partition("\n")[0]), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [(row[0], row[1].strip()) for row in rows if len(row) > 1 and row[0].strip()]
