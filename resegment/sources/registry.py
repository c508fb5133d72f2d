"""Find adapters by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from resegment.errors import UserError

if TYPE_CHECKING:
    from resegment.sources.adapters.port import Adapter

MODULES: Final[dict[str, str]] = {
    "hubspot": "hubspot",
}
"""The module in `resegment.sources.providers` of each adapter."""

OTHER_NAMES: Final[dict[str, str]] = {}
"""Other names of adapters."""


GENERIC: Final = frozenset(
    {"csv", "tsv", "json", "jsonl", "ndjson", "parquet", "xml", "generic", "file", "map", "mapping"}
)
"""Names for files of any shape, which need a mapping file."""


class UnknownSource(UserError):
    """A name of no adapter."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name[:60]!r} is no known source",
            remedy=f"Use one of {', '.join(sorted(MODULES))}, or describe the columns in a mapping file (--map).",
        )
        self.name = name


@cache
def find_adapter(name: str) -> Adapter:
    """Return the adapter of that name. Raises UnknownSource."""
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    plain = OTHER_NAMES.get(plain, plain)
    module = MODULES.get(plain)
    if module is None:
        raise UnknownSource(name)
    found: Adapter = import_module(f"resegment.sources.providers.{module}").ADAPTER
    return found


def all_adapters() -> list[Adapter]:
    """Return every adapter, by name."""
    return [find_adapter(name) for name in sorted(MODULES)]
