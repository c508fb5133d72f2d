"""A record of `signals` that cannot be read is set aside, and the facts beside it are decided."""

from __future__ import annotations

import base64
import zlib

import pytest
from msgspec.structs import replace

from resegment.agents.batch import RecordedMessage
from resegment.agents.deciding.applying import facts_of, read_known
from resegment.agents.deciding.marks import MARK
from resegment.agents.deciding.merging import STEP
from resegment.agents.deciding.versions import one_version
from resegment.identity.merges import Identities
from resegment.schemas.fact import DEEPEST, encode_fact
from resegment.schemas.identities.steps import Step, encode_step, pack_facts
from resegment.state.keys.keyring import NotPrepared
from resegment.streams.definitions.history import Definitions
from resegment.streams.recovery.point_in_time import relearn
from tests.builders import Rig
from tests.builders import facts_of as facts_in
from tests.oracle.cases import day, funding, hiring, segments
from tests.sealing import new_keyring, seal_all

FILE = segments(both={"all": [{"event": "funding"}, {"event": "hiring"}]}, funded={"event": "funding"})
FUNDING, HIRING = facts_in([funding(day(0), account="acme.com"), hiring(day(1), account="acme.com")])
PLAIN = encode_fact(FUNDING)
DEEP = b'"data":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b","
DEEPER_THAN_ANY = b'"data":{"x":' + b"[" * DEEPEST + b"]" * DEEPEST + b","
DAMAGED = {
    "no UTF-8": PLAIN.replace(b'"data":{', b'"data":{"x":"\xff",'),
    "too deep": PLAIN.replace(b'"data":{', DEEP),
    "deeper than any event": PLAIN.replace(b'"data":{', DEEPER_THAN_ANY),
    "cut": PLAIN[:-5],
}


def packed(value: bytes) -> str:
    return base64.b64encode(zlib.compress(b"[" + value + b"]")).decode()


def step(facts: str) -> RecordedMessage:
    given = encode_step(Step(step="join", op=1, account="acme.com", other="acme.io", facts=facts))
    return RecordedMessage(1, day(1), None, given, [(STEP, b"")])


def record(offset: int, at: int, value: bytes) -> RecordedMessage:
    return RecordedMessage(offset, at, b"acme.com", value, [])


@pytest.mark.parametrize("value", DAMAGED.values(), ids=DAMAGED)
async def test_a_fact_that_cannot_be_read_is_refused_and_stops_nothing(value: bytes) -> None:
    rig = Rig(FILE)
    await rig.take()
    done = await rig.feed(record(0, day(0), value), record(1, day(1), PLAIN))
    assert [one.reason for one in done.refused] == ["not-a-signal"]
    assert [one.to for one in rig.changes] == ["funded"]


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("facts", ["%%%", *map(packed, DAMAGED.values())], ids=["no base64", *DAMAGED])
async def test_a_step_whose_facts_cannot_be_read_is_refused_with_its_own_reason(
    facts: str, keys: bool
) -> None:
    rig, given = Rig(FILE), [FUNDING, HIRING]
    if keys:
        ring = await new_keyring()
        rig.versions = one_version(rig.engine, keys=ring)
        given = await seal_all(ring, given)
    await rig.take()
    first, last = (encode_fact(one) for one in given)
    done = await rig.feed(record(0, day(0), first), step(facts), record(2, day(2), last))
    assert [(one.reason, one.field) for one in done.refused] == [("damaged-step", "facts")]
    assert [one.to for one in rig.changes] == ["funded", "both"]


def test_a_look_back_leaves_a_damaged_step_out_as_the_segmenter_did() -> None:
    records = (record(0, day(0), PLAIN), step("%%%"), record(2, day(2), encode_fact(HIRING)))
    known = [found[1] for one in records if (found := read_known(one, one.timestamp)) is not None]
    assert list(facts_of(known)) == [FUNDING, HIRING]
    rig = Rig(FILE)
    account = relearn(one_version(rig.engine).timeline, "acme.com", known, day(3))
    assert account.state.membership.segment == "both"


def test_facts_of_a_whole_step_are_found() -> None:
    known = read_known(step(pack_facts([FUNDING])), day(1))
    assert known is not None
    assert list(facts_of([known[1]])) == [FUNDING]


async def test_a_key_that_was_not_looked_up_is_named_and_not_taken_for_destroyed() -> None:
    ring = await new_keyring()
    named = [replace(FUNDING, data={**FUNDING.data, "person": one}) for one in ("Ann Lee", "Bob Ray")]
    ann, bob = await seal_all(ring, named)
    opens = await ring.opener([ann])
    assert opens(ann) == named[0]
    with pytest.raises(NotPrepared):
        opens(bob)


BROKEN = b'{"type":"\xff","step":"\xff"}', b'{"x":' * 100_000 + b"1" + b"}" * 100_000


@pytest.mark.parametrize("value", BROKEN, ids=["no UTF-8", "too deep"])
async def test_a_mark_an_identity_and_a_definition_that_cannot_be_read_stop_nothing(value: bytes) -> None:
    rig = Rig(FILE)
    await rig.take()
    mark = RecordedMessage(0, day(0), None, value, [(MARK, b"")])
    await rig.feed(mark, record(1, day(1), PLAIN))
    assert [one.to for one in rig.changes] == ["funded"]
    identities, definitions = Identities(), Definitions([value])
    identities.take(value)
    assert (identities.taken, identities.operations) == (1, {})
    assert definitions.unreadable == 1
