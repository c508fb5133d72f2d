"""Each sink behind faults and kills at every step: nothing lost, nobody enrolled twice, order kept, the operator told."""

from __future__ import annotations

import os
import random
from collections import defaultdict

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.sinks.operation import Contact
from resegment.sinks.registry import VENDORS
from tests.unit.agents.sending.world import Faults, World, command, know
from tests.vendors.samples import SAMPLES

COMMANDS = int(os.environ.get("SINK_COMMANDS", "2000"))
ENROLLING = [name for name, vendor in VENDORS.items() if vendor.enrolls]


async def carry_out(name: str, number: int, seed: int) -> None:
    accounts = [f"company{one}.com" for one in range(max(1, number // 4))]
    contacts = {
        one: [Contact(email=f"Ann@{one}", first_name="Ann"), Contact(email=f"bo@{one}")] for one in accounts
    }
    server = SAMPLES[name].server()
    for some in contacts.values():
        for one in some:
            know(server, one)
    faults = Faults(random.Random(seed), share=0.25, kills=0.5 / len(accounts))
    world = World(name, server, contacts, faults)
    records = make_commands(accounts)
    await world.run(records)

    # nothing lost: every command has an outcome, and what a person has to see is a dead letter
    assert world.outcomes.keys() == {record.value and read_id(record) for record in records}
    letters = {one["value"] and read_letter(one) for one in world.letters}
    told = {key for key, outcome in world.outcomes.items() if outcome in {"unknown", "gone", "refused"}}
    assert told <= letters, told - letters
    assert all(one["message"] for one in world.letters)
    # nobody enrolled twice, no task made twice
    assert max(server.enrolled.values(), default=1) == 1
    assert max(server.told.values(), default=1) == 1
    # those that are said to be enrolled are, each once
    for account in accounts:
        if world.outcomes[f"{account}-enroll"] == "applied" and VENDORS[name].enrolls:
            enrolled = {email for email, _ in server.enrolled if email.endswith(f"@{account}")}
            assert enrolled == {f"ann@{account}", f"bo@{account}"}, account
    # the order of each account
    order: dict[str, list[str]] = defaultdict(list)
    for account, key in world.settled:
        if key not in order[account]:
            order[account].append(key)
    wanted: dict[str, list[str]] = defaultdict(list)
    for record in records:
        wanted[(record.key or b"").decode()].append(read_id(record))
    assert order == wanted


def make_commands(accounts: list[str]) -> list[RecordedMessage]:
    records = []
    for action, sequence in (("enroll", 1), ("escalate", 1), ("reassign", 1), ("stop", 2)):
        for account in accounts:
            key = f"{account}-{action}"
            records.append(command(len(records), account, action, key=key, sequence=sequence))
    return records


def read_id(record: RecordedMessage) -> str:
    from resegment.agents.delivery import read_command  # noqa: PLC0415

    return read_command(record).id


def read_letter(letter: object) -> str:
    import orjson  # noqa: PLC0415

    return str(orjson.loads(letter["value"])["id"])  # type: ignore[index]


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("seed", range(2))
async def test_a_few_commands_are_each_carried_out_once_behind_faults_and_kills(name: str, seed: int) -> None:
    await carry_out(name, 40, seed)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("seed", range(10))
async def test_commands_are_each_carried_out_once_behind_faults_and_kills(name: str, seed: int) -> None:
    await carry_out(name, COMMANDS, seed + 100)
