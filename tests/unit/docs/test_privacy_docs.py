"""docs/privacy.md: its example runs, and its lists are those of the product."""

from __future__ import annotations

import contextlib
import io
import re

from resegment.schemas.privacy.envelope import DataKey, seal
from resegment.schemas.privacy.fields import EVERY_KIND, OF_KINDS
from resegment.streams.kafka.topics import Topics
from tests.commands import commands
from tests.walk import ROOT

PAGE = (ROOT / "docs" / "privacy.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_opens_the_envelope_and_the_product_makes_the_same() -> None:
    (code,), (expected,) = blocks("python"), blocks("json")
    printed, names = io.StringIO(), dict[str, object]()
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # noqa: S102  # our own page
    assert printed.getvalue() == expected
    keys = [DataKey(name, secret) for name, secret in names["keys"].items()]  # type: ignore[attr-defined]
    assert seal(expected.strip().encode(), keys, [b"acme.com\0people\0crm-17"]) == names["text"]


def test_every_personal_field_is_named() -> None:
    said = PAGE[PAGE.index("**Personal fields**") :].split("\n\n")[0]
    named = {*EVERY_KIND, *(name for fields in OF_KINDS.values() for name in fields)}
    assert named <= set(re.findall(r"`([a-z_]+)`", said))


def test_every_topic_that_may_hold_personal_data_has_a_row() -> None:
    table = PAGE[PAGE.index("## Where personal data lies") :].split("**Personal fields**")[0]
    topics = {one.name for one in Topics()}
    without = {"refresh-requests", "definitions", "identities"}
    covered = set(re.findall(r"`([a-z.*-]+)`", table))
    triggers = {one for one in topics if one.startswith("triggers.")}
    assert topics - without - triggers <= covered
    assert "triggers.*" in covered


def test_every_command_on_the_page_exists() -> None:
    known = set(commands())
    used = re.findall(r"resegment ((?:privacy |dead-letters )?[a-z-]+)", "".join(blocks("bash")))
    assert used
    assert set(used) - {"privacy"} <= known
