"""`resegment forget` refuses what makes no sense before it asks any server."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from resegment.agents.batch import RecordedMessage
from resegment.cli import build
from resegment.cli.privacy import forget
from resegment.identity.merges import Identities
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.records import Merge, encode_identity_record
from resegment.streams.exporting import personal
from resegment.streams.forgetting.requests import PersonsNeedKeys
from resegment.streams.kafka.topics import Topics
from tests.sealing import new_keyring, seal_all

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


async def test_a_person_is_found_by_what_the_log_links_and_the_question_names_every_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = await new_keyring()
    data = {"person": "Ann Lee", "email": "ann@acme.com"}
    fact = Fact(
        account="acme.com", kind="people", id="1", source="/crm", record="1", time=1, recorded=1, data=data
    )
    (sealed,) = await seal_all(keys, [fact])

    async def records(prefix: Any, topic: Any, wanted: Any) -> Any:
        assert wanted.accounts == {"acme.com", "acme.io"}
        yield [RecordedMessage(0, 1, b"acme.com", encode_fact(sealed))]

    class Opened:
        async def ring(self) -> Any:
            return keys

        def record_opener(self) -> None:
            return None

    class Nobody:
        async def hgetall(self, key: str) -> dict[bytes, bytes]:
            return {}

    class Running(Session):
        keys, client, bootstrap, topics, security, reader = Opened(), Nobody(), "", Topics("p"), {}, None

    monkeypatch.setattr(personal, "_records", records)
    known = Identities()
    known.take(encode_identity_record(Merge(alias="acme.io", account="acme.com", at=1)))
    session: Any = Running()
    _, spellings = await forget._find_person(session, known, "acme.com", "ann@acme.com")
    assert spellings == ("ann@acme.com", "ann lee")
    assert "ann@acme.com = ann lee at acme.com" in forget._question(known, "acme.com", spellings)
    with pytest.raises(typer.BadParameter):
        await forget._find_person(session, known, "acme.com", " ")
