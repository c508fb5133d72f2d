"""Make the requests to Salesforce, and read what its answers have in common."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from resegment.sinks.port import Answer, Call, Request, look

_ESCAPED: Final = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MISSING: Final = re.compile(r"No such column '([A-Za-z0-9_.]+)'")
LATER: Final = frozenset({"REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW"})
"""Errors after which nothing was done, and which pass."""
GONE: Final = frozenset(
    {"NOT_FOUND", "ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "DELETED_RECORD", "RECORD_NOT_FOUND"}
)
ALREADY: Final = frozenset({"DUPLICATE_VALUE", "DUPLICATES_DETECTED"})


def quote(text: str) -> str:
    """Return a text as a literal of SOQL."""
    return "'" + "".join(_ESCAPED.get(one, one) for one in text) + "'"


def quote_like(text: str) -> str:
    """Return a text as it stands inside a pattern of LIKE, without the quotes around it."""
    return quote(text)[1:-1].replace("%", "\\%").replace("_", "\\_")


QUERIED: Final = 40
"""Accounts of one query: it is part of the URL."""


class Api:
    """The paths of one version of the API."""

    def __init__(self, version: str) -> None:
        self.base = f"/services/data/v{version}"

    def query(self, soql: str) -> Request:
        """Return a query."""
        return Request("GET", f"{self.base}/query", query=(("q", soql),))

    def action(self, name: str, **given: str) -> Request:
        """Return a call of an invocable action, with one input."""
        return Request("POST", f"{self.base}/actions/standard/{name}", body={"inputs": [given]})

    def find_account(self, account: str, key: str | None) -> Generator[Call, Answer, str | None]:
        """Return the id of the account with that domain, the oldest if there are several; None if there is none."""
        found = yield from self.find_accounts([account], key)
        return found.get(account) if isinstance(found, dict) else None

    def find_accounts(
        self, accounts: Sequence[str], key: str | None
    ) -> Generator[Call, Answer, dict[str, str] | str]:
        """Return the ids of accounts by domain, or what Salesforce says against the query."""
        found: dict[str, str] = {}
        for start in range(0, len(accounts), QUERIED):
            some = accounts[start : start + QUERIED]
            answer = yield look(self._query_accounts(some, key), expects="records")
            if not answer.ok:
                return f"accounts cannot be queried: {tell(answer)}"
            for one in answer.rows("records"):
                written = str(one.get(key or "Website") or "")
                domain = _host(written) if key is None else written.lower()
                if domain in some and one.get("Id"):
                    found.setdefault(domain, str(one["Id"]))
        return found

    def _query_accounts(self, accounts: Sequence[str], key: str | None) -> Request:
        if key is None:
            tests = " OR ".join(f"Website LIKE '%{quote_like(one)}%'" for one in accounts)
        else:
            tests = f"{key} IN ({', '.join(quote(one) for one in accounts)})"
        return self.query(
            f"SELECT Id, {key or 'Website'} FROM Account WHERE {tests} ORDER BY CreatedDate LIMIT 2000"
        )


def _host(website: str) -> str:
    text = website.strip().lower()
    try:
        host = urlsplit(text if "://" in text else f"https://{text}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")


def code_of(answer: Answer) -> str:
    """Return the code of an error: of the whole request, or of the first input of an action."""
    for path in ((0, "errorCode"), (0, "errors", 0, "statusCode"), ("error",)):
        if isinstance(code := answer.get(*path), str):
            return code
    return ""


def tell(answer: Answer) -> str:
    """Return what an error says, in one line."""
    for path in ((0, "message"), (0, "errors", 0, "message"), ("error_description",), ("message",)):
        if isinstance(text := answer.get(*path), str):
            return text[:300]
    return f"status {answer.status}"


def tell_errors(row: Mapping[str, Any]) -> str:
    """Return what the errors of one record say."""
    errors = Answer(200, row).rows("errors")
    return "; ".join(str(one.get("message", "")) for one in errors)[:300] or "Salesforce did not write it"


def find_missing_fields(answer: Answer) -> set[str]:
    """Return the fields that Salesforce says do not exist."""
    found: set[str] = set()
    for row in answer.rows():
        found.update(_MISSING.findall(str(row.get("message", ""))))
        for error in Answer(200, row).rows("errors"):
            found.update(_MISSING.findall(str(error.get("message", ""))))
    return found
