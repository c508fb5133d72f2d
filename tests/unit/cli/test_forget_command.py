"""`resegment forget` refuses what makes no sense before it asks any server."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from resegment.cli import build
from resegment.cli.privacy import forget
from resegment.identity.merges import Identities
from resegment.streams.forgetting.requests import PersonsNeedKeys

runner = CliRunner()


class Keys:
    async def ring(self) -> None:
        return None


class Session:
    keys, client, prefix = Keys(), None, "p"
    held: ClassVar[dict[str, str]] = {}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("acme.com", "--texts"), "--texts goes with --person"),
        (("acme.com", "--undo", "--dry-run"), "--undo takes only --person"),
        (("acme.com", "--undo", "--purge-triggers"), "--undo takes only --person"),
        ((), "Missing argument"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(arguments: tuple[str, ...], why: str) -> None:
    found = runner.invoke(build(), ["forget", *arguments])
    assert found.exit_code == 2
    assert why in found.output + found.stderr


async def test_a_person_cannot_be_forgotten_without_keys_and_an_account_can() -> None:
    session: Any = Session()
    assert await forget._find_person(session, Identities(), "acme.com", None) == (None, ())
    with pytest.raises(PersonsNeedKeys) as refused:
        await forget._find_person(session, Identities(), "acme.com", "Ann Lee")
    assert "RESEGMENT_KEYS" in (refused.value.remedy or "")


def test_the_account_is_read_as_other_commands_read_it_and_an_unknown_name_is_refused() -> None:
    session: Any = Session()
    assert forget._read_account(session, "https://www.acme.com/about") == "acme.com"
    with pytest.raises(typer.BadParameter):
        forget._read_account(session, "Some Unknown Company Name")
