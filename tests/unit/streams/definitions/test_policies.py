"""Which policy a change or a partition is routed by."""

from __future__ import annotations

import msgspec
import pytest

from resegment.errors import RefusedEvent
from resegment.schemas.definitions.records import Applied, Stands, encode_definition_record
from resegment.schemas.routing import DefinitionSwitched
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.policies import (
    UNREAD_FOR,
    VersionPolicies,
    VersionUnread,
    files_of_lists,
    latest_switch,
)
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topics import Topics

from .test_history import switch, told, version

TEAM = {"teams": {"sales": {"members": ["ann"]}}}
LONGER = {"retain": "900d"}


def registry(definitions: Definitions) -> DefinitionRegistry:
    return DefinitionRegistry(definitions, Topics(), facts_per_test=100)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_versions_are_found_by_number_and_by_fingerprint_and_share_mode_and_lists() -> None:
    known = registry(told(*version(1), *version(2, **LONGER)))
    policies = VersionPolicies(known)
    first, second = policies.at(1), policies.at(2)
    assert policies.at(0) is first
    assert policies.of(second.version) is second
    known.controls.mode = "changed"
    known.controls.lists = {"board": {"acme.com"}}
    assert (first.mode, second.mode, second.lists) == ("changed", "changed", {"board": {"acme.com"}})


def test_of_versions_that_differ_in_teams_alone_the_newest_counts() -> None:
    policies = VersionPolicies(registry(told(*version(1), *version(2, **TEAM))))
    assert policies.of(policies.at(1).version) is policies.at(2)


def test_a_version_that_is_not_read_yet_is_waited_for_and_a_foreign_one_not_for_ever() -> None:
    known, clock = registry(told(*version(1))), Clock()
    policies = VersionPolicies(known, clock)
    with pytest.raises(VersionUnread):
        policies.at(2)
    with pytest.raises(VersionUnread):
        policies.of("foreign")
    known.take([encode_definition_record(one) for one in version(2, **LONGER)])
    assert policies.of(policies.at(2).version) is policies.at(2)
    clock.now = UNREAD_FOR
    assert policies.of("foreign") is policies.at(1)


def test_a_version_that_this_release_does_not_read_is_routed_by_the_one_in_force() -> None:
    (broken,) = version(1)[-1:]
    records = [msgspec.structs.replace(broken, files=(), fingerprint="old"), *version(2, **LONGER)]  # type: ignore[call-overload]
    known = registry(told(*records, *switch("a", 2, 7), Stands(apply="a")))
    assert VersionPolicies(known).of("old") is VersionPolicies(known).at(2)


def test_lists_are_read_for_a_version_that_is_prepared_before_it_is_in_force() -> None:
    listed = {"suppression": [{"name": "board", "file": "board.txt"}]}
    other = {"suppression": [{"name": "board", "file": "other.txt"}, {"name": "partners", "file": "p.txt"}]}
    records = [*version(1, **listed), *version(2, **other)]
    known = registry(told(*records, *switch("a", 2, 7)))
    assert files_of_lists(known) == {"board": "board.txt", "partners": "p.txt"}
    known.take([encode_definition_record(Stands(apply="a"))])
    assert files_of_lists(known) == {"board": "other.txt", "partners": "p.txt"}


def test_where_nothing_more_comes_a_foreign_version_has_the_policy_of_the_one_in_force() -> None:
    known = registry(told(*version(1), *version(2, **LONGER)))
    policies = VersionPolicies(known, unread_for=0)
    assert policies.of("foreign") is policies.at(1)


@pytest.mark.parametrize("number", [-1, 2 + 101, 10**12])
def test_a_number_that_no_version_can_have_is_refused_and_the_next_ones_are_waited_for(number: int) -> None:
    policies = VersionPolicies(registry(told(*version(1), *version(2, **LONGER))))
    with pytest.raises(RefusedEvent, match="no version"):
        policies.at(number)
    with pytest.raises(VersionUnread):
        policies.at(3)


def test_lists_that_a_version_drops_are_read_until_it_is_worked_off() -> None:
    listed = {"suppression": [{"name": "board", "file": "board.txt"}]}
    known = registry(told(*version(1, **listed), *version(2), *switch("a", 2, 7), Stands(apply="a")))
    assert files_of_lists(known) == {"board": "board.txt"}
    known.take([encode_definition_record(Applied(apply="a"))])
    assert files_of_lists(known) == {}


def test_a_restored_partition_learns_of_the_latest_switch() -> None:
    known = registry(told(*version(1), *version(2, **LONGER)))
    assert latest_switch(known) is None
    known.take([encode_definition_record(one) for one in (*switch("a", 2, 7), Stands(apply="a"))])
    fingerprint = VersionPolicies(known).at(2).version
    assert latest_switch(known) == DefinitionSwitched(at=7, version=2, fingerprint=fingerprint, apply="a")
