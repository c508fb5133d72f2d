"""Consoles with some pages behind their guard."""

from __future__ import annotations

import pytest

from tests.unit.http.access.world import Make, World, make_world


@pytest.fixture
def make() -> Make:
    return make_world


@pytest.fixture
def world() -> World:
    return make_world()
