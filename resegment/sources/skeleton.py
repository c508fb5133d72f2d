"""Write the skeleton of an adapter of your own: a module, a payload, and a test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from resegment.errors import UserError, explain_os_error

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,40}")

_MODULE: Final = '''"""{title}: say here which exports, interfaces and webhooks are read."""

from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field
from resegment.sources.adapters.port import Adapter
from resegment.sources.adapters.splitting import split_into
from resegment.sources.adapters.tables import Table

COMPANY = Table(
    name="company",
    kind="firmographic",
    envelope=Envelope(
        record="company",
        key=("id",),
        subject=("domain", "website"),
        time=("updated_at",),
        identity="snapshot",
    ),
    data={{
        "name": field("text", "name"),
        "industry": field("text", "industry"),
        "employees": field("count", "employees, employee_count"),
    }},
    ignored=("created_at",),
)

ADAPTER = Adapter(
    name="{name}",
    title="{title}",
    reads="companies",
    tables=(COMPANY,),
    split=split_into(COMPANY, "data", "results"),
)
'''
_PAYLOAD: Final = """{"data": [
  {"id": "1", "domain": "acme.com", "name": "Acme", "industry": "Retail", "employees": "51-200", "updated_at": "2026-01-31T09:00:00Z"}
]}
"""
_TEST: Final = '''"""What the payload of {title} becomes."""

import json
from pathlib import Path

from resegment.sources.registry import load_adapter

HERE = Path(__file__).parent


def test_the_payload_becomes_events() -> None:
    adapter = load_adapter(HERE / "{module}.py")
    (event,) = adapter.convert(json.loads((HERE / "{module}.json").read_text()))
    assert (event["type"], event["subject"]) == ("gtm.firmographic.v1", "acme.com")
    assert event["data"]["employees_min"] == 51
'''


class WrongSkeleton(UserError):
    """A skeleton that cannot be written."""


def write_skeleton(name: str, folder: Path) -> list[Path]:
    """Write the files of a new adapter to a folder, and return them. Raises WrongSkeleton; no file is overwritten."""
    if not _NAME.fullmatch(name):
        raise WrongSkeleton(
            f"{name[:60]!r} is no name of an adapter",
            remedy="Use small letters, digits and hyphens, like my-tool.",
        )
    module = name.replace("-", "_")
    title = name.replace("-", " ").replace("_", " ").title()
    files = {
        folder / f"{module}.py": _MODULE.format(name=name, title=title),
        folder / f"{module}.json": _PAYLOAD,
        folder / f"test_{module}.py": _TEST.format(module=module, title=title),
    }
    taken = next((file for file in files if file.exists()), None)
    if taken is not None:
        raise WrongSkeleton(f"{taken}: a file has that name already", remedy="Choose another name or folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongSkeleton(
            f"{folder}: {explain_os_error(error)}", remedy="Choose another folder."
        ) from error
    return list(files)
