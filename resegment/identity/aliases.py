"""Read the table of aliases: other domains of an account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from resegment.errors import RefusedEvent, UserError, explain_os_error
from resegment.identity.domains import registrable_domain


class WrongAliases(UserError):
    """A file that is not a table of aliases."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy='Write a JSON object that maps each alias to the account: {"acme.io": "acme.com"}.',
        )
        self.path = path


def load_aliases(path: Path) -> dict[str, str]:
    """Read the account of each alias, both as registrable domains. Raises WrongAliases."""
    try:
        table: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise WrongAliases(path, explain_os_error(error)) from error
    except orjson.JSONDecodeError as error:
        raise WrongAliases(path, f"not JSON: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(own, str) for own in table.values()):
        raise WrongAliases(path, "not an object of strings")
    try:
        return {registrable_domain(other): registrable_domain(own) for other, own in table.items()}
    except RefusedEvent as error:
        raise WrongAliases(path, error.message) from error
