"""Follows `workflow-commands` and keeps which workflow each account runs: each command takes effect once.

    python docs/contracts/commands_consumer.py localhost:9092 resegment.workflow-commands commands.db

Needs kafka-python. Keys, offsets and what runs change in one transaction, so it may be killed at any moment, and a
command that comes again changes nothing. What you do elsewhere is in no transaction of yours: pass the key on there.
"""

# ruff: noqa: INP001, T201 -- an example, which says what it sees
import json
import sqlite3
import sys

from kafka import KafkaConsumer, TopicPartition

TABLES = """
CREATE TABLE IF NOT EXISTS applied (key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS offsets (number INTEGER PRIMARY KEY, next INTEGER);
CREATE TABLE IF NOT EXISTS running (account TEXT PRIMARY KEY, workflow TEXT, segment TEXT, owner TEXT, key TEXT);
"""


def apply(store: sqlite3.Connection, command: dict) -> None:
    """Take one command into `running`, unless its key was applied before."""
    key, account, workflow = (command[name] for name in ("idempotency_key", "account", "workflow"))
    if not store.execute("INSERT OR IGNORE INTO applied VALUES (?)", (key,)).rowcount:
        return
    match command["action"]:
        case "enroll":  # it may be in this workflow already: then it goes on in it, with what is said now
            row = (account, workflow, command["segment"], command["owner"], key)
            store.execute("INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?)", row)
        case "stop" | "finish" | "pause":  # here is where the three would differ
            store.execute("DELETE FROM running WHERE account = ? AND workflow = ?", (account, workflow))
        case "reassign":
            row = (command["owner"], account, workflow)
            store.execute("UPDATE running SET owner = ? WHERE account = ? AND workflow = ?", row)
        case _:  # `escalate` is for people, and later versions may know more words
            pass


def take(store: sqlite3.Connection, number: int, records: list) -> None:
    """Apply records of one partition and move on behind them: all of it, or nothing."""
    with store:
        for record in records:
            apply(store, json.loads(record.value)["data"])
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
