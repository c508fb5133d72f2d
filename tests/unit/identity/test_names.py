"""Subjects that are no domain: names, ids and pages, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from resegment.errors import RefusedEvent
from resegment.identity.aliases import (
    load_aliases,
    names_of,
    resolve_account,
    resolve_subject,
    use_aliases,
    use_identities,
)
from resegment.identity.hints import find_hints
from resegment.identity.names import Unresolved, read_name
from resegment.sources.suppressions import ListFiles


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    use_aliases({})
    use_identities({}, {})


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("Acme Inc", "name:acme inc"),
        ("  ACME   Inc. ", "name:acme inc."),
        ("name:Acme", "name:acme"),
        ("hubspot:123", "hubspot:123"),
        ("HubSpot:AbC", "hubspot:AbC"),
        ("https://www.linkedin.com/company/Acme/", "linkedin.com/company/acme"),
        ("linkedin.com/company/acme/about/", "linkedin.com/company/acme"),
        ("https://de.linkedin.com/company/acme?trk=x", "linkedin.com/company/acme"),
        ("acme.com", None),
        ("localhost:8080", None),
        ("mailto:jo@acme.com", None),
        ("https://acme.com", None),
        ("https://www.linkedin.com/in/jo", None),
        ("not a.domain", None),
        ("name:", None),
        ("123 456", None),
        ("", None),
    ],
)
def test_a_name_an_id_and_a_page_have_one_spelling(subject: str, name: str | None) -> None:
    assert read_name(subject) == name


@pytest.mark.parametrize("subject", ["Acme Inc", "hubspot:123", "https://linkedin.com/company/acme"])
def test_a_name_that_no_alias_has_waits_and_is_not_guessed(subject: str) -> None:
    with pytest.raises(Unresolved) as found:
        resolve_subject(subject)
    assert (found.value.reason, found.value.field) == ("unresolved", "subject")


@pytest.mark.parametrize(
    "subject", ["localhost", "192.168.0.1", "jo@gmail.com", "https://www.linkedin.com/in/jo"]
)
def test_what_is_neither_a_domain_nor_a_name_is_refused_as_before(subject: str) -> None:
    with pytest.raises(RefusedEvent) as found:
        resolve_subject(subject)
    assert found.value.reason == "not-a-company"


def test_the_file_of_aliases_may_have_names_ids_and_pages(tmp_path: Path) -> None:
    path = tmp_path / "aliases.json"
    table = {
        "hubspot:123": "acme.io",
        "Acme Inc": "acme.com",
        "https://www.linkedin.com/company/acme": "acme.com",
        "acme.io": "acme.com",
    }
    path.write_bytes(orjson.dumps(table))
    use_aliases(load_aliases(path))
    for subject in (*table, "acme inc", "linkedin.com/company/ACME"):
        assert resolve_account(subject) == "acme.com"


def test_the_file_comes_before_what_people_said_and_merges_count_for_lists_but_not_for_events() -> None:
    use_aliases({"hubspot:1": "file.com"})
    use_identities({"hubspot:1": "said.com", "hubspot:2": "old.com"}, {"old.com": "new.com"})
    assert resolve_subject("hubspot:1") == "file.com"
    assert (resolve_subject("hubspot:2"), resolve_account("hubspot:2")) == ("old.com", "new.com")
    assert (resolve_subject("old.com"), resolve_account("old.com")) == ("old.com", "new.com")
    assert names_of("new.com") == ("new.com", "old.com")


def test_a_list_that_names_a_merged_account_suppresses_the_one_that_it_is_part_of_until_that_is_undone(
    tmp_path: Path,
) -> None:
    (tmp_path / "customers.txt").write_text("old.com\nother.com\n")
    lists = ListFiles(tmp_path / "segments.yaml")
    assert lists.load({"customers": "customers.txt"}) == {"customers": {"old.com", "other.com"}}
    use_identities({}, {"old.com": "new.com"})
    assert lists.load({"customers": "customers.txt"}) == {"customers": {"new.com", "other.com"}}
    use_identities({}, {})
    assert lists.load({"customers": "customers.txt"}) == {"customers": {"old.com", "other.com"}}


def test_hints_are_known_accounts_whose_domain_looks_like_the_name() -> None:
    accounts = ["acme.com", "acne.com", "northwind-traders.com", "example.org"]
    assert find_hints("name:northwind traders gmbh", accounts) == [("northwind-traders.com", 100)]
    assert find_hints("name:acme inc.", accounts)[0] == ("acme.com", 100)
    assert find_hints("linkedin.com/company/acme", accounts)[0].account == "acme.com"
    assert find_hints("hubspot:123", accounts) == []
