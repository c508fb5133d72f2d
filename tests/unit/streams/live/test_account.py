"""An account of which everything was forgotten is told as forgotten, not as one that begins later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from resegment.cli import build
from resegment.schemas.identities.records import Forget, Lift
from resegment.schemas.state import AccountState, Identity, Membership
from resegment.streams.live.account import UnknownAccount, look_up_account
from resegment.streams.recovery.point_in_time import is_forgotten_at
from tests.builders import definition_of, registry_of
from tests.merging import Prefix
from tests.oracle.cases import day, funding, segments
from tests.unit.agents.test_forgetting import ask, prefix_of, send

FILE = segments(funded={"event": "funding"})


class Stored:
    """What a session or a connection reads of a prefix whose account is in one state."""

    on_facts, prefix, client = False, "p", None

    def __init__(self, state: AccountState | None, now: int) -> None:
        self.reader, self._state, self._now = self, state, now
        self.registry: Any = registry_of(definition_of(FILE))

    def partition_of(self, _: str) -> int:
        return 0

    def identify(self, name: str) -> str:
        return name

    async def load_registry(self) -> Any:
        return self.registry

    async def states(self, _: list[str]) -> list[AccountState | None]:
        return [self._state]

    async def routed(self, _: list[str]) -> list[None]:
        return [None]

    async def now(self) -> int:
        return self._now


async def forgotten(*, lifted: bool) -> Prefix:
    prefix = await prefix_of(funding(day(0), account="acme.com"))
    await ask(prefix, Forget(account="acme.com", at=day(1)))
    if lifted:
        await ask(prefix, Lift(account="acme.com", at=day(2)))
        send(prefix, funding(day(3), account="acme.com"))
        await prefix.settle()
    return prefix


@pytest.mark.parametrize("at", [None, day(0)])
async def test_a_forgotten_account_is_told_as_forgotten_at_any_time(at: int | None) -> None:
    prefix = await forgotten(lifted=False)
    stored: Any = Stored(prefix.state("acme.com"), day(5))
    with pytest.raises(UnknownAccount, match=r"what was known about acme\.com on .* is forgotten") as raised:
        await look_up_account(stored, stored.registry, "acme.com", at)
    assert "forget acme.com --undo" in (raised.value.remedy or "")


async def test_after_the_undo_only_what_was_before_is_forgotten() -> None:
    prefix = await forgotten(lifted=True)
    state = cast("AccountState", prefix.state("acme.com"))
    assert is_forgotten_at(state, day(0))
    assert not is_forgotten_at(state, day(4))
    stored: Any = Stored(state, day(5))
    view = await look_up_account(stored, stored.registry, "acme.com", None)
    assert view.account.state.membership.segment == "funded"


def test_an_account_whose_only_facts_were_about_forgotten_persons_is_forgotten() -> None:
    empty = AccountState(identity=Identity(forgets=1))
    assert is_forgotten_at(empty, day(0))
    assert not is_forgotten_at(replace_membership(empty), day(0))
    assert not is_forgotten_at(AccountState(identity=Identity()), day(0))
    assert not is_forgotten_at(AccountState(), day(0))


def replace_membership(state: AccountState) -> AccountState:
    return replace(state, membership=Membership("funded", 1))


def test_explain_says_that_the_account_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored(AccountState(identity=Identity(forgotten=True, forgets=1, until=day(1))), day(5))

    @asynccontextmanager
    async def open_session(*_: Any, **__: Any) -> AsyncIterator[Stored]:
        yield stored

    monkeypatch.setattr("resegment.cli.operations.session.open_session", open_session)
    done = CliRunner().invoke(build(), ["explain", "acme.com"])
    assert done.exit_code == 1
    assert "is forgotten" in " ".join(done.stderr.split())
