"""What `resegment webhooks list` shows of an endpoint."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from resegment.console.operations.webhooks import describe, render_list
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.state.redis.webhooks import EndpointState

ENDPOINT = Endpoint.model_validate({"url": "https://example.com/hunter2", "secrets": [{"env": "A"}]})


def shown(*reports: dict[str, Any], disabled: dict[str, str] | None = None) -> str:
    state = EndpointState(disabled, begun=True, reports={str(n): one for n, one in enumerate(reports)})
    console = Console(file=StringIO(), width=120)
    console.print(render_list([describe("crm", ENDPOINT, state)]))
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # a StringIO


REFUSING = {"state": "delivering", "lag": 1, "undelivered": 4, "problem": "status 404"}
FINE = {"state": "delivering", "lag": 2, "undelivered": 0, "problem": None}
PAUSED = {"state": "left alone", "lag": 3, "undelivered": 0, "problem": "status 500"}


@pytest.mark.parametrize(
    ("reports", "state", "problem"),
    [
        ([FINE], "delivering", ""),
        ([{"state": "delivering", "lag": 0}], "delivering", ""),  # of an earlier version
        ([FINE, REFUSING], "refusing", "status 404"),
        ([REFUSING, PAUSED, FINE], "paused", "status 500"),
        ([], "no process delivers", ""),
    ],
)
def test_the_worst_report_decides_what_is_shown(
    reports: list[dict[str, Any]], state: str, problem: str
) -> None:
    text = shown(*reports)
    assert state in text
    assert problem in text
    assert "hunter2" not in text


def test_an_endpoint_that_is_disabled_shows_why_whatever_is_reported() -> None:
    text = shown(REFUSING, disabled={"at": "2027-01-01T00:00:00Z", "why": "by hand"})
    assert "disabled" in text
    assert "by hand" in text
    assert "404" not in text
