"""Aliases: other domains of an account, the same wherever an account is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resegment.errors import RefusedEvent
from resegment.identity.aliases import WrongAliases, load_aliases, names_of, resolve_account, use_aliases
from resegment.routing.staffing.teams import preferred
from resegment.schemas.segments import Team
from resegment.sources.suppressions import read_list


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    use_aliases({})


def table(folder: Path, content: Any) -> Path:
    file = folder / "aliases.json"
    file.write_text(json.dumps(content))
    return file


def use(folder: Path, content: Any) -> None:
    use_aliases(load_aliases(table(folder, content)))


@pytest.mark.parametrize("subject", ["acme.io", "https://www.Acme.io/x", "jo@mail.acme.io", "acme.com"])
def test_any_spelling_of_an_alias_is_its_account(tmp_path: Path, subject: str) -> None:
    use(tmp_path, {"www.acme.io": "https://acme.com"})
    assert resolve_account(subject) == "acme.com"


def test_an_alias_of_an_alias_leads_to_the_account_at_the_end(tmp_path: Path) -> None:
    use(tmp_path, {"acme.io": "acme.net", "acme.net": "acme.com"})
    assert resolve_account("acme.io") == resolve_account("acme.net") == "acme.com"
    assert set(names_of("acme.com")) == {"acme.com", "acme.io", "acme.net"}


def test_a_shared_host_stays_refused(tmp_path: Path) -> None:
    use(tmp_path, {"acme.io": "acme.com"})
    with pytest.raises(RefusedEvent, match="mailbox provider"):
        resolve_account("jo@orange.fr")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"acme.io": "acme.net", "acme.net": "acme.io"}, "circle: acme.io -> acme.net -> acme.io"),
        ({"acme.io": "acme.com", "www.acme.io": "acme.net"}, "leads to acme.com and to acme.net"),
        ({"gmail.com": "acme.com"}, "gmail.com is a mailbox provider"),
        ({"acme.io": 1}, "not an object of strings"),
        (["acme.io"], "not an object of strings"),
    ],
)
def test_a_table_that_says_two_things_is_refused(tmp_path: Path, content: Any, problem: str) -> None:
    with pytest.raises(WrongAliases, match=problem):
        load_aliases(table(tmp_path, content))


def test_a_domain_that_leads_to_itself_changes_nothing(tmp_path: Path) -> None:
    assert load_aliases(table(tmp_path, {"acme.com": "www.acme.com"})) == {}


def test_a_suppression_list_may_name_an_alias(tmp_path: Path) -> None:
    use(tmp_path, {"acme.io": "acme.com"})
    file = tmp_path / "list.txt"
    file.write_text("jo@acme.io\nother.com\n")
    assert read_list(file).accounts == {"acme.com", "other.com"}


def test_an_account_named_by_an_alias_has_its_owner(tmp_path: Path) -> None:
    use(tmp_path, {"acme.io": "acme.com"})
    team = Team(members=["ann", "bob"], accounts={"acme.io": "bob"})
    assert preferred(team, "acme.com", "ann") == ("bob", "ann")
    both = Team(members=["ann", "bob"], accounts={"acme.io": "bob", "acme.com": "ann"})
    assert preferred(both, "acme.com", None) == ("ann",)
