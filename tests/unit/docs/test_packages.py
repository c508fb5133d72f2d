"""The wheel has every package of the tree: the list in pyproject.toml is written by hand."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]


def packages() -> set[str]:
    found = set()
    for name, folder in SETUP["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join((name, *inner)))
    return found


def test_every_package_is_in_the_wheel() -> None:
    assert packages() - set(SETUP["packages"]) == set()


def test_the_wheel_has_no_package_that_is_not_there() -> None:
    assert set(SETUP["packages"]) - packages() == set()
