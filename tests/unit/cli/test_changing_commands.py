"""Every command is known to look or to change something: what changes a prefix is recorded, and not for every user."""

from __future__ import annotations

import pytest

from tests.commands import CHANGES, LOCAL, LOOKS, RUNS, commands


def test_every_command_is_sorted_by_what_it_does() -> None:
    sorted_in = [*CHANGES, *LOOKS, *RUNS, *LOCAL]
    assert sorted(sorted_in) == sorted(set(sorted_in))
    assert sorted(sorted_in) == list(commands()), "put a new command into tests/commands.py"


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_what_changes_something_has_an_example_of_its_own(name: str) -> None:
    assert isinstance(CHANGES[name], tuple)
