"""What a wrong time zone is told: the one that was meant."""

from __future__ import annotations

import pytest

from resegment.documents.diagnostics import InvalidSegments
from tests.builders import definition_of


def told(zone: str) -> tuple[str, str | None]:
    file = {
        "version": 1,
        "segments": [
            {
                "name": "fits",
                "layer": "firmographic",
                "when": {"employees": 5},
                "play": "say",
                "route": {"workflow": "outbound", "team": "sales"},
            },
        ],
        "fallback": {"name": "other", "play": "say"},
        "teams": {"sales": {"members": ["Ann"], "timezone": zone}},
        "plays": {
            "say": {
                "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
                "channels": {"primary": "email"},
            }
        },
    }
    with pytest.raises(InvalidSegments) as refused:
        definition_of(file)
    (one,) = refused.value.diagnostics
    assert one.path == ("teams", "sales", "timezone")
    return one.message, one.remedy


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("America/New_Yrok", "America/New_York"),
        ("america/new_york", "America/New_York"),
        ("New York", "America/New_York"),
        ("US/New_York", "America/New_York"),
        ("Berlin", "Europe/Berlin"),
        ("Europe/Brelin", "Europe/Berlin"),
        ("Asia/Calcuta", "Asia/Calcutta"),
        ("PST", "America/Los_Angeles"),
        ("CEST", "Europe/Berlin"),
    ],
)
def test_the_time_zone_that_was_meant_is_named(written: str, meant: str) -> None:
    assert told(written) == (
        f"expected a time zone like America/New_York, not {written!r}",
        f"did you mean {meant!r}?",
    )


@pytest.mark.parametrize("written", ["", "America", "../etc/passwd", "x" * 5_000, "Bielefeld"])
def test_of_what_is_like_no_time_zone_nothing_is_guessed(written: str) -> None:
    assert told(written) == (f"expected a time zone like America/New_York, not {written[:80]!r}", None)


@pytest.mark.parametrize(
    "written", ["localtime", "posixrules", "Factory", "right/Europe/Berlin", "posix/UTC"]
)
def test_a_name_that_means_something_else_on_each_machine_is_refused(written: str) -> None:
    assert told(written)[0].endswith(f"not {written!r}")
