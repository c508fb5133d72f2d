"""Resolve subjects with the table of aliases: other domains of an account.

Like the shared hosts, the table belongs to the process: the same subject means the same account in every command and in
every part of a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from resegment.errors import RefusedEvent, UserError, explain_os_error
from resegment.identity.domains import registrable_domain
from resegment.identity.names import Unresolved, read_name

_accounts: Mapping[str, str] = {}
_others: Mapping[str, tuple[str, ...]] = {}
_names: Mapping[str, str] = {}
"""The accounts of names, ids and pages, as the file says."""
_resolved: Mapping[str, str] = {}
"""The same, as people have said since."""
_merged: Mapping[str, str] = {}
"""The accounts of accounts that were merged into others."""


class WrongAliases(UserError):
    """A file that is not a table of aliases."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy='Write a JSON object that maps each alias to the account: {"acme.io": "acme.com"}.',
        )
        self.path = path


def load_aliases(path: Path) -> dict[str, str]:
    """Read the account of each alias. Raises WrongAliases.

    Accounts are registrable domains; an alias is one too, or a name, an id or a page. An alias of an alias leads to the
    account at the end.
    """
    try:
        table: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise WrongAliases(path, explain_os_error(error)) from error
    except orjson.JSONDecodeError as error:
        raise WrongAliases(path, f"not JSON: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(own, str) for own in table.values()):
        raise WrongAliases(path, "not an object of strings")
    accounts: dict[str, str] = {}
    try:
        for other, own in ((_read_alias(other), registrable_domain(own)) for other, own in table.items()):
            if other != own and accounts.setdefault(other, own) != own:
                raise WrongAliases(path, f"{other} leads to {accounts[other]} and to {own}")
    except RefusedEvent as error:
        raise WrongAliases(path, error.message) from error
    return {other: _follow(other, accounts, path) for other in accounts}


def _read_alias(text: str) -> str:
    """Return the domain, or the usual spelling of the name, that an alias is. Raises RefusedEvent."""
    try:
        return registrable_domain(text)
    except RefusedEvent:
        name = read_name(text)
        if name is None:
            raise
        return name


def use_aliases(accounts: Mapping[str, str]) -> None:
    """Resolve subjects with these aliases in the whole process. Call this before anything is resolved."""
    global _accounts, _others, _names  # noqa: PLW0603  # one table for the process: the same subject has one account
    others: dict[str, tuple[str, ...]] = {}
    for other, own in accounts.items():
        others[own] = (*others.get(own, ()), other)
    _accounts, _others = dict(accounts), others
    _names = {other: own for other, own in accounts.items() if _is_name(other)}


def use_identities(names: Mapping[str, str], merged: Mapping[str, str]) -> None:
    """Resolve with what people have said of a running prefix too: accounts of names, and merges. The file comes first."""
    global _resolved, _merged  # the same
    _resolved, _merged = dict(names), dict(merged)


def resolve_subject(subject: str) -> str:
    """Return the account under which an event is filed: its registrable domain, or the account of an alias of the file.

    A merge does not change that: the account's worker passes the fact to the account that it was merged into. Raises as
    `registrable_domain` does, and `Unresolved` for a name, an id or a page that no alias has.
    """
    try:
        domain = registrable_domain(subject)
    except RefusedEvent:
        name = read_name(subject)
        if name is None:
            raise
        account = _names.get(name) or _resolved.get(name)
        if account is None:
            raise Unresolved(name) from None
        return _accounts.get(account, account)
    return _accounts.get(domain, domain)


def resolve_account(subject: str) -> str:
    """Return the account that a subject means now, merges included. Raises as `resolve_subject` does."""
    account = resolve_subject(subject)
    return _merged.get(account, account)


def follow_merges(accounts: frozenset[str]) -> frozenset[str]:
    """Return the accounts that these are part of now."""
    if _merged.keys().isdisjoint(accounts):
        return accounts
    return frozenset(_merged.get(one, one) for one in accounts)


def names_of(account: str) -> tuple[str, ...]:
    """Return the domains and names that lead to an account: its own, then its aliases, then those merged into it."""
    merged = tuple(alias for alias, own in _merged.items() if own == account)
    return (account, *_others.get(account, ()), *merged)


def file_aliases() -> Mapping[str, str]:
    """Return the account of each domain that is an alias by the file."""
    return {other: own for other, own in _accounts.items() if other not in _names}


def _is_name(text: str) -> bool:
    return ":" in text or "/" in text


def _follow(alias: str, accounts: Mapping[str, str], path: Path) -> str:
    passed = [alias]
    while (own := accounts.get(passed[-1])) is not None:
        if own in passed:
            raise WrongAliases(path, f"aliases lead in a circle: {' -> '.join((*passed, own))}")
        passed.append(own)
    return passed[-1]
