"""Facts packed by account come back as they were."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.cli.replaying.packing import Keeping, check_data, pack_account, pack_fact, split_accounts
from resegment.schemas.fact import KINDS, Fact


def keeping(names: Iterable[str]) -> Keeping:
    return Keeping(dict.fromkeys(KINDS, frozenset(names)), lambda _kind, _data: True)


texts = st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars, max_size=3)
facts = st.builds(
    Fact,
    account=st.just("acme.com"),
    kind=st.sampled_from(KINDS),
    id=texts,
    source=texts,
    record=texts,
    time=st.integers(0, 1 << 42),
    recorded=st.integers(0, 1 << 42),
    op=st.sampled_from(("assert", "retract")),
    data=st.dictionaries(texts, values, max_size=4),
)


@given(st.lists(facts, max_size=5))
@settings(max_examples=60, deadline=None)
def test_facts_come_back_as_they_were(given_facts: list[Fact]) -> None:
    rows = [
        pack_fact(fact, fact.account, fact.recorded, keeping(fact.data), number, number)
        for number, fact in enumerate(given_facts)
    ]
    found = pack_account("acme.com", rows).unpack()
    plain = [{name: getattr(fact, name) for name in Fact.__struct_fields__} for fact in found]
    assert repr(plain) == repr(
        [{name: getattr(fact, name) for name in Fact.__struct_fields__} for fact in given_facts]
    )
    assert [fact.number for fact in found] == list(range(len(given_facts)))


def test_only_fields_that_a_test_reads_are_packed() -> None:
    fact = Fact(
        account="a", kind="hiring", id="1", source="s", record="1", time=1, recorded=1,
        data={"function": "sales", "url": "u" * 500},
    )  # fmt: skip
    row = pack_fact(fact, "a", 1, keeping({"function"}), 0, check_data(fact.data))
    (found,) = pack_account("a", [row]).unpack()
    assert found.data == {"function": "sales"}
    assert len(row) < 100


def test_the_checksum_does_not_depend_on_the_order_of_the_fields() -> None:
    assert check_data({"a": 1, "b": [2]}) == check_data({"b": [2], "a": 1})
    assert check_data({"a": 1}) != check_data({"a": 2})


def test_accounts_are_split_in_the_order_of_their_names() -> None:
    row = pack_fact(
        Fact(account="x", kind="hiring", id="1", source="s", record="1", time=1, recorded=1),
        "x",
        1,
        keeping(()), 0, 0,
    )  # fmt: skip
    grouped = {name: [row] * count for name, count in (("c", 1), ("a", 3), ("b", 2), ("d", 1))}
    batches = list(split_accounts(grouped, 4))
    assert [[(one.name, one.count) for one in batch] for batch in batches] == [
        [("a", 3), ("b", 2)],
        [("c", 1), ("d", 1)],
    ]
    assert not grouped
