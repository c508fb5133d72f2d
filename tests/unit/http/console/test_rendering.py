"""How values are written on pages."""

from __future__ import annotations

import pytest

from resegment.http.console.rendering import spell_number


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (8912, "8,912"),
        (0.25, "0.25"),
        (279.33, "279.3"),
        (999.96, "1,000"),
        (1_210.4, "1,210"),
        (199_612.7, "199,613"),
        (9_896_000.0, "9,896,000"),
        (-12_345.6, "-12,346"),
    ],
)
def test_large_numbers_are_written_with_separators_and_without_an_exponent(
    value: float | None, written: str
) -> None:
    assert spell_number(value) == written
