"""docs/webhooks.md: its code verifies what is sent, its file is one, and it leaves no key out."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.endpoints import load_webhooks
from resegment.sinks.webhook.signing import Secret, sign

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text("utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_verification_takes_what_is_sent_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)  # noqa: S102  # the page's own
    verify, now = names["verify"], int(time.time())
    other = Secret(bytes(32))
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([other, Secret.parse(SECRET)], "1", now, b"{}"),
    }
    assert verify(SECRET, headers, b"{}")
    assert not verify(SECRET, headers, b"{ }")
    assert not verify(SECRET, {**headers, "webhook-id": "2"}, b"{}")
    assert not verify(SECRET, {**headers, "webhook-timestamp": str(now - 301)}, b"{}")


def test_its_files_are_right(tmp_path: Path) -> None:
    for text in blocks("yaml"):
        path = tmp_path / "webhooks.yaml"
        path.write_text(text)
        assert list(load_webhooks(path).endpoints) == ["crm"]


def test_it_names_every_key_of_an_endpoint() -> None:
    table = PAGE.partition("| key | default | meaning |")[2].partition("\n\n")[0]
    assert set(
        re.findall(r"`(\w+)`", re.sub(r"\|[^|\n]*\|[^|\n]*\|$", "|", table, flags=re.MULTILINE))
    ) == set(Endpoint.model_fields)
