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

_accounts: Mapping[str, str] = {}
_others: Mapping[str, tuple[str, ...]] = {}


class WrongAliases(UserError):
    """A file that is not a table of aliases."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy='Write a JSON object that maps each alias to the account: {"acme.io": "acme.com"}.',
        )
        self.path = path


def load_aliases(path: Path) -> dict[str, str]:
    """Read the account of each alias, both as registrable domains. Raises WrongAliases.

    An alias of an alias leads to the account at the end.
    """
    try:
        table: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise WrongAliases(path, explain_os_error(error)) from error
    except orjson.JSONDecodeError as error:
        raise WrongAliases(path, f"not JSON: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(own, str) for own in table.values()):
        raise WrongAliases(path, "not an object of strings")
    try:
        pairs = [(registrable_domain(other), registrable_domain(own)) for other, own in table.items()]
    except RefusedEvent as error:
        raise WrongAliases(path, error.message) from error
    accounts: dict[str, str] = {}
    for other, own in pairs:
        if other != own and accounts.setdefault(other, own) != own:
            raise WrongAliases(path, f"{other} leads to {accounts[other]} and to {own}")
    return {other: _follow(other, accounts, path) for other in accounts}


def use_aliases(accounts: Mapping[str, str]) -> None:
    """Resolve subjects with these aliases in the whole process. Call this before anything is resolved."""
    global _accounts, _others  # one table for the process: the same subject has one account
    others: dict[str, tuple[str, ...]] = {}
    for other, own in accounts.items():
        others[own] = (*others.get(own, ()), other)
    _accounts, _others = dict(accounts), others


def resolve_account(subject: str) -> str:
    """Return the account that a subject means: its registrable domain, or the account of which that is an alias.

    Raises as `registrable_domain` does.
    """
    domain = registrable_domain(subject)
    return _accounts.get(domain, domain)


def names_of(account: str) -> tuple[str, ...]:
    """Return the domains that lead to an account: its own, then its aliases."""
    return (account, *_others.get(account, ()))


def _follow(alias: str, accounts: Mapping[str, str], path: Path) -> str:
    passed = [alias]
    while (own := accounts.get(passed[-1])) is not None:
        if own in passed:
            raise WrongAliases(path, f"aliases lead in a circle: {' -> '.join((*passed, own))}")
        passed.append(own)
    return passed[-1]
