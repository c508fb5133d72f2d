"""Prometheus's own programs, where the machine has them."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str) -> str:
    """Return the path of `promtool` or `prometheus`. Skip where there is none, but fail where it is required."""
    found = shutil.which(program)
    if found is not None:
        return found
    if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_APACHE") == "1":
        pytest.fail(f"{program} cannot run here: apt-get install prometheus")
    pytest.skip(f"{program} is not on this machine: apt-get install prometheus")
