"""Build the pure wheel or, where RESEGMENT_COMPILE=1, one whose core mypyc has compiled."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text("utf-8"))
ONLY_DESCRIBES = {"egg_info", "dist_info", "sdist"}
"""Commands that need no compiled module."""


def link_packages() -> None:
    """Put every package where its name says, as in a checkout: an sdist has no links, and mypy needs them."""
    for package, folder in PROJECT["tool"]["setuptools"]["package-dir"].items():
        place = Path(*package.split("."))
        if not place.exists():
            place.symlink_to(Path(*[".."] * (len(place.parts) - 1), folder))


def describe() -> dict[str, Any]:
    """Return what setuptools needs to know beyond pyproject.toml."""
    if os.environ.get("RESEGMENT_COMPILE") != "1":
        return {}
    if ONLY_DESCRIBES & set(sys.argv):
        # what an isolated build installs first: mypy, and the libraries whose types it reads
        return {"setup_requires": ["mypy>=2.4,<3", *PROJECT["project"]["dependencies"]]}
    from mypyc.build import mypycify  # noqa: PLC0415 # only a compiled wheel needs it

    link_packages()
    # other modules are read for their types only; stubs of libraries that they use may be missing
    options = ["--follow-imports=silent", "--ignore-missing-imports"]
    modules = PROJECT["tool"]["resegment"]["compiled"]
    compiled = mypycify([*options, *modules], opt_level="3", debug_level="0", group_name="resegment")
    return {"ext_modules": compiled}


setup(**describe())
