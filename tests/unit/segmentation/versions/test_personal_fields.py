"""A version that names other personal fields is told as one, and judges no account again."""

from __future__ import annotations

from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.wording import tell_differences
from tests.builders import definition_of, registry_of
from tests.oracle.cases import segments

FILE = segments(hot={"event": "engagement"})


def test_personal_fields_are_a_difference_that_judges_nobody() -> None:
    before = definition_of(FILE)
    after = definition_of({**FILE, "privacy": {"personal": ["badge"]}})
    differences = compare(before, after, {})
    assert [(one.part, one.name) for one in differences.parts] == [("file", "personal")]
    assert not differences.judges
    assert "badge" in str(tell_differences(before, after, differences))


def test_the_fields_of_the_version_of_the_instant_count() -> None:
    registry = registry_of(definition_of({**FILE, "privacy": {"personal": ["badge"], "drop": ["phone"]}}))
    assert registry.personal_at(0) == {"badge"}
    assert registry.dropped_at(0) == {"phone"}
