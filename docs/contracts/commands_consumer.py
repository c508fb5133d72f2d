"""Follow `workflow-commands` and track the workflow of every account, applying each command once.

    python docs/contracts/commands_consumer.py localhost:9092 resegment.workflow-commands commands.db

Needs kafka-python. Keys, offsets and workflows change in one transaction, so you can kill this program at any time, and
a repeated command changes nothing. Calls to other systems are outside the transaction: pass the key on to them. Records
that are not commands are printed and skipped.
"""

# ruff: noqa: INP001, T201 -- an example that prints what it sees
import json
import sqlite3
import sys

from kafka import KafkaConsumer, TopicPartition

TYPE = "gtm.workflow-command.v1"
TEXTS = ("idempotency_key", "account", "workflow", "action")
TABLES = """
CREATE TABLE IF NOT EXISTS applied (key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS offsets (number INTEGER PRIMARY KEY, next INTEGER);
CREATE TABLE IF NOT EXISTS running (account TEXT PRIMARY KEY, workflow TEXT, segment TEXT, owner TEXT, key TEXT);
"""


def apply(store: sqlite3.Connection, command: dict) -> None:
    """Apply one command to `running`, unless its key was already applied."""
    key, account, workflow = (command[name] for name in ("idempotency_key", "account", "workflow"))
    if not store.execute("INSERT OR IGNORE INTO applied VALUES (?)", (key,)).rowcount:
        return
    match command["action"]:
        case "enroll":  # if it is already in this workflow, it stays there with the new values
            row = (account, workflow, command["segment"], command["owner"], key)
            store.execute("INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?)", row)
        case "stop" | "finish" | "pause":  # a real consumer handles these three differently
            store.execute("DELETE FROM running WHERE account = ? AND workflow = ?", (account, workflow))
        case "reassign":
            row = (command["owner"], account, workflow)
            store.execute("UPDATE running SET owner = ? WHERE account = ? AND workflow = ?", row)
        case _:  # `escalate` is for people, and later versions may add actions
            pass


def read(value: bytes | None) -> dict | None:
    """Return the command of a record, or None if it is not a command: any producer may write to the topic by mistake."""
    try:
        event = json.loads(value)
        if event["type"] == TYPE and all(isinstance(event["data"][name], str) for name in TEXTS):
            return {"segment": None, "owner": None, **event["data"]}
    except (TypeError, ValueError, KeyError, RecursionError):
        pass
    return None


def take(store: sqlite3.Connection, number: int, records: list) -> None:
    """Apply records of one partition and store the next offset: all or nothing."""
    with store:
        for record in records:
            if (command := read(record.value)) is None:
                print(f"skipped: partition {number}, offset {record.offset} is not a command")
            else:
                apply(store, command)
        store.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?)", (number, records[-1].offset + 1))


if __name__ == "__main__":
    bootstrap, topic, path = sys.argv[1:]
    store = sqlite3.connect(path)
    store.executescript(TABLES)
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
    for number, offset in store.execute("SELECT number, next FROM offsets").fetchall():
        consumer.seek(TopicPartition(topic, number), offset)
    while True:
        for place, records in consumer.poll(1_000).items():
            take(store, place.partition, records)
        (count,) = store.execute("SELECT count(*) FROM running").fetchone()
        print(f"{count:,} accounts are in a workflow", end="\r", flush=True)
