"""Read a saved report on outcomes."""

from __future__ import annotations

from pathlib import Path

from resegment.errors import explain_os_error
from resegment.outcomes.advising import WrongReport, decode_report
from resegment.outcomes.measuring.report import Report


def read_report(path: Path) -> Report:
    """Return the report of a file. Raises WrongReport."""
    try:
        return decode_report(str(path), path.read_bytes())
    except OSError as error:
        raise WrongReport(str(path), explain_os_error(error)) from error
