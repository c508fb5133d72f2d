"""Find adapters by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resegment.errors import UserError

if TYPE_CHECKING:
    from resegment.sources.adapters.port import Adapter

MODULES: Final[dict[str, str]] = {
    "6sense": "intent.sixsense",
    "apollo": "sequencers.apollo",
    "bombora": "intent.bombora",
    "builtwith": "signals.builtwith",
    "clay": "companies.clay",
    "common-room": "visits.common_room",
    "coresignal": "companies.coresignal",
    "crunchbase": "companies.crunchbase",
    "crunchbase-2013": "companies.crunchbase_2013",
    "debezium": "changes.debezium",
    "events": "changes.events",
    "formd": "companies.formd",
    "g2": "intent.g2",
    "hg-insights": "intent.hg_insights",
    "hubspot": "crm.hubspot",
    "instantly": "sequencers.instantly",
    "kafka-connect": "changes.kafka_connect",
    "lemlist": "sequencers.lemlist",
    "outreach": "sequencers.outreach",
    "peopledatalabs": "companies.peopledatalabs",
    "predictleads": "signals.predictleads",
    "rb2b": "visits.rb2b",
    "rudderstack": "visits.rudderstack",
    "salesforce": "crm.salesforce",
    "salesloft": "sequencers.salesloft",
    "segment": "visits.segment",
    "singer": "changes.singer",
    "smartlead": "sequencers.smartlead",
    "tamradar": "signals.tamradar",
    "theirstack": "signals.theirstack",
    "zoominfo": "intent.zoominfo",
}
"""The module in `resegment.sources.providers` of each adapter."""

BOARDS: Final = ("ashby", "greenhouse", "lever", "smartrecruiters", "workable")
"""The job boards, which `resegment.sources.boards` reads."""

OTHER_NAMES: Final[dict[str, str]] = {
    "sixsense": "6sense",
    "commonroom": "common-room",
    "crunchbase2013": "crunchbase-2013",
    "form-d": "formd",
    "sec-form-d": "formd",
    "sec-formd": "formd",
    "sec": "formd",
    "edgar": "formd",
    "smart-recruiters": "smartrecruiters",
    "cloudevents": "events",
    "contract": "events",
    "hg": "hg-insights",
    "hginsights": "hg-insights",
    "hub-spot": "hubspot",
    "connect": "kafka-connect",
    "kafkaconnect": "kafka-connect",
    "people-data-labs": "peopledatalabs",
    "pdl": "peopledatalabs",
    "predict-leads": "predictleads",
    "rudder": "rudderstack",
    "rudder-stack": "rudderstack",
    "sfdc": "salesforce",
    "tam-radar": "tamradar",
    "their-stack": "theirstack",
    "built-with": "builtwith",
    "zoom-info": "zoominfo",
    "g2-crowd": "g2",
    "apollo-io": "apollo",
    "instantly-ai": "instantly",
    "smartlead-ai": "smartlead",
    "sales-loft": "salesloft",
    "outreach-io": "outreach",
    "lem-list": "lemlist",
}
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
            remedy=f"Use one of {', '.join(names())}, or describe the columns in a mapping file (--map).",
        )
        self.name = name


class WrongAdapter(UserError):
    """A module of a user that has no adapter."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}", remedy="`resegment sources new NAME` writes a module that works."
        )
        self.path = path


@cache
def find_adapter(name: str) -> Adapter:
    """Return the adapter of that name. Raises UnknownSource."""
    if name.endswith(".py"):
        return load_adapter(Path(name))
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    plain = OTHER_NAMES.get(plain, plain)
    module = MODULES.get(plain)
    if plain in BOARDS:
        from resegment.sources.boards.adapter import board_adapter  # noqa: PLC0415  # only for boards

        return board_adapter(plain)
    if module is None:
        raise UnknownSource(name)
    found: Adapter = import_module(f"resegment.sources.providers.{module}").ADAPTER
    return found


def load_adapter(path: Path) -> Adapter:
    """Return the adapter of your own module: its `ADAPTER`. Runs the module. Raises WrongAdapter."""
    from resegment.sources.adapters.port import Adapter  # noqa: PLC0415  # only for modules of users

    spec = spec_from_file_location(f"resegment_source_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise WrongAdapter(path, "no such module")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the border to a module of somebody else
        raise WrongAdapter(path, f"it fails with {type(error).__name__}: {error}") from error
    found = getattr(module, "ADAPTER", None)
    if not isinstance(found, Adapter):
        raise WrongAdapter(path, "it has no ADAPTER")
    return found


def all_adapters() -> list[Adapter]:
    """Return every adapter, by name."""
    return [find_adapter(name) for name in names()]


def names() -> list[str]:
    """Return the names of all adapters."""
    return sorted((*MODULES, *BOARDS))
