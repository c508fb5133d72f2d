"""Where contacts come from: tables, `people` events, and several places at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from resegment.agents.sending.ports import ContactsUnavailable
from resegment.sinks.hubspot.vendor import HubSpot, HubSpotOptions
from resegment.sinks.operation import Contact
from resegment.sinks.port import SearchRefused
from resegment.state.sinks.people import PeopleStore, Person
from resegment.streams.sending.contacts import (
    AllContacts,
    InvalidTable,
    SearchedContacts,
    TableContacts,
    UnforgottenContacts,
    read_table,
)
from resegment.streams.sending.people_reader import read_person
from resegment.streams.sending.performers import find_account, normalize_title
from tests.builders import EVENT
from tests.events import read_fact
from tests.sealing import new_keyring

HEAD = "Account,Email,First Name,Title,Opted Out,id:hubspot\n"


def table(folder: Path, text: str) -> Path:
    path = folder / "contacts.csv"
    path.write_text(text)
    return path


async def test_a_table_gives_the_persons_of_an_account_in_any_spelling_of_it(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        HEAD + "https://www.acme.com/x,a@acme.com,Ada,CRO,,51\nACME.com,b@acme.com,,,YES,\nnope,c@x,,,,\n",
    )
    found = await TableContacts(path, find_account).find("acme.com")
    assert found == [
        Contact(email="a@acme.com", first_name="Ada", title="CRO", ids={"hubspot": "51"}),
        Contact(email="b@acme.com", opted_out=True),
    ]


async def test_a_table_that_is_replaced_is_read_again_and_one_that_is_half_written_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resegment.streams.sending.contacts.LOOK_AGAIN", 0.0)
    path = table(tmp_path, HEAD + "acme.com,a@acme.com,,,,\n")
    contacts = TableContacts(path, find_account)
    table(tmp_path, HEAD + "acme.com,longer-b@acme.com,,,,\n")
    assert [one.email for one in await contacts.find("acme.com")] == ["longer-b@acme.com"]
    table(tmp_path, "Acc")
    assert [one.email for one in await contacts.find("acme.com")] == ["longer-b@acme.com"]


def test_a_parquet_file_is_a_table_too(tmp_path: Path) -> None:
    pl.DataFrame({"account": ["acme.com"], "email": ["a@acme.com"]}).write_parquet(tmp_path / "c.parquet")
    found, _ = read_table(tmp_path / "c.parquet", find_account)
    assert found == {"acme.com": [Contact(email="a@acme.com")]}


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "account\nacme.com\n"])
def test_a_file_that_is_no_table_of_contacts_says_what_is_needed(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidTable) as error:
        read_table(table(tmp_path, text), find_account)
    assert "account and email" in (error.value.remedy or "")


class Fixed:
    def __init__(self, *contacts: Contact) -> None:
        self._contacts = contacts

    async def find(self, account: str) -> Sequence[Contact]:
        return self._contacts


async def test_the_first_place_that_has_somebody_counts_and_an_opt_out_counts_everywhere() -> None:
    ada, bo = Contact(email="ada@acme.com"), Contact(email="bo@acme.com")
    out = Contact(email="ADA@acme.com", opted_out=True)
    found = await AllContacts([Fixed(), Fixed(ada, bo), Fixed(out, Contact(email="c@acme.com"))]).find(
        "acme.com"
    )
    assert [(one.email, one.opted_out) for one in found] == [("ada@acme.com", True), ("bo@acme.com", False)]


def test_two_titles_of_one_meaning_are_one() -> None:
    assert normalize_title("Vice President of Sales") == normalize_title("VP Sales")
    assert normalize_title("Chief Revenue Officer") == normalize_title("CRO")
    assert normalize_title("Software Engineer") != normalize_title("CRO")


def people(op: str = "assert", **data: Any) -> Any:
    return read_fact({**EVENT, "type": "gtm.people.v1", "op": op, "record": "r", "data": data})


def test_a_people_event_names_a_person_by_the_address() -> None:
    key, person = read_person(
        people(person="Ada M. Example", email="Ada@acme.com", title="CRO", opted_out=True)
    )
    assert key == "ada@acme.com"
    assert (person.first_name, person.last_name, person.title) == ("Ada", "M. Example", "CRO")
    assert person.opted_out
    assert not person.gone


async def test_a_vendor_that_refuses_to_show_its_persons_is_waited_for() -> None:
    class Refusing:
        async def search(self, steps: Any) -> Any:
            raise SearchRefused("HubSpot does not show the contacts of acme.com: missing scopes")

    found = SearchedContacts("crm", HubSpot(HubSpotOptions()), Refusing())  # type: ignore[arg-type]
    with pytest.raises(ContactsUnavailable, match=r"the sink crm cannot be asked .*: missing scopes"):
        await found.find("acme.com")


class Hashes:
    """The hashes of Redis, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[bytes, bytes]] = {}

    async def hget(self, place: str, key: str) -> bytes | None:
        return self.kept.get(place, {}).get(key.encode())

    async def hgetall(self, place: str) -> dict[bytes, bytes]:
        return dict(self.kept.get(place, {}))

    async def hvals(self, place: str) -> list[bytes]:
        return list(self.kept.get(place, {}).values())

    async def hset(self, place: str, key: str, value: bytes) -> None:
        self.kept.setdefault(place, {})[key.encode()] = value


async def known_after(*events: Any) -> list[Person]:
    store = PeopleStore(Hashes(), "p")  # type: ignore[arg-type]
    for one in events:
        await store.keep("acme.com", *read_person(one))
    return await store.read("acme.com")


async def test_an_opt_out_stays_whatever_a_later_event_leaves_out() -> None:
    out = people(email="ada@acme.com", opted_out=True)
    (person,) = await known_after(out, people(email="ada@acme.com", title="CRO"))
    assert (person.opted_out, person.title) == (True, "CRO")
    (person,) = await known_after(out, people(email="ada@acme.com", opted_out=False))
    assert person.opted_out is False


async def test_an_opt_out_that_arrives_late_counts() -> None:
    late = msgspec.structs.replace(people(email="ada@acme.com", opted_out=True), time=1)
    (person,) = await known_after(people(email="ada@acme.com", title="CRO"), late)
    assert (person.opted_out, person.title) == (True, "CRO")


async def test_a_retraction_takes_the_person_back_though_it_names_only_the_record() -> None:
    assert await known_after(people(email="ada@acme.com"), people(op="retract")) == []
    other = msgspec.structs.replace(people(op="retract"), source="other")
    assert [one.email for one in await known_after(people(email="ada@acme.com"), other)] == ["ada@acme.com"]


async def test_a_person_that_is_gone_without_a_record_takes_nobody_else_back() -> None:
    store = PeopleStore(Hashes(), "p")  # type: ignore[arg-type]
    await store.keep("acme.com", "a", Person(at=2, title="CRO", opted_out=True))
    await store.keep("acme.com", "a", Person(at=1, title="VP"))
    await store.keep("acme.com", "b", Person(at=1, gone=True))
    assert await store.read("acme.com") == [Person(at=2, title="CRO", opted_out=True)]


async def test_a_forgotten_person_that_a_table_still_has_is_not_contacted(tmp_path: Path) -> None:
    path = table(
        tmp_path, HEAD + "acme.com,Ann@acme.com,Ann,,,\nacme.com,bo@acme.com,Bo,,,\nb.com,ann@acme.com,,,,\n"
    )
    keys = await new_keyring()
    finder = UnforgottenContacts(TableContacts(path, find_account), keys)
    assert [one.opted_out for one in await finder.find("acme.com")] == [False, False]
    await keys.store.destroy([keys.names.person("acme.com", "ann@acme.com")], forget=True)
    keys.drop()
    assert [one.opted_out for one in await finder.find("acme.com")] == [True, False]
    assert [one.opted_out for one in await finder.find("b.com")] == [False]
