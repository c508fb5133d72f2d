"""Write the rules and the dashboards: `python -m ops`. `--runbook URL` says where your copy of docs/operations.md is."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from ops.alerts import RUNBOOK, rules
from ops.dashboards import DASHBOARDS

FOLDER: Final = Path(__file__).parent


def build(runbook: str = RUNBOOK) -> Mapping[Path, str]:
    """Return the files by their paths."""
    head = "# Made by `python -m ops` from ops/alerts.py.\n"
    alerts = yaml.safe_dump(dict(rules(runbook=runbook)), sort_keys=False, width=1000, allow_unicode=True)
    files = {FOLDER / "prometheus" / "alerts.yml": head + alerts}
    for one in DASHBOARDS:
        path = FOLDER / "grafana" / "dashboards" / f"{one.uid}.json"
        files[path] = json.dumps(one.build(), indent=1, ensure_ascii=False) + "\n"
    return files


def main() -> None:
    """Write the files."""
    parser = ArgumentParser(prog="python -m ops", description=__doc__)
    parser.add_argument("--runbook", default=RUNBOOK, help="the page that runbook_url of each alert leads to")
    for path, text in build(parser.parse_args().runbook).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
