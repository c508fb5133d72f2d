"""Follows `segment-changes` and keeps who is where: applying a change twice does what applying it once does.

    python docs/contracts/consumer.py localhost:9092 resegment.segment-changes

Needs kafka-python. A change that comes again (a worker died before it noted the first delivery) has a
`sequence_number` that is not greater than the last seen. One that `supersedes` another makes that one void:
whatever was done because of it is to be undone.
"""

# ruff: noqa: INP001, T201 -- an example, which says what it sees
import json
import sys

from kafka import KafkaConsumer, TopicPartition


def apply(table: dict, moves: dict, event: dict) -> None:
    """Take one change into `table` (account: segment, last number) and `moves` (id: what stands of history)."""
    change = event["data"]
    _, last = table.get(change["account"], (None, 0))
    if change["sequence_number"] <= last:
        return  # seen before
    table[change["account"]] = (change["to"], change["sequence_number"])
    moves.pop(change["supersedes"], None)
    if change["from"] != change["to"]:  # equal: it only takes back the one that it supersedes
        moves[event["id"]] = (change["account"], change["from"], change["to"], change["effective_at"])


if __name__ == "__main__":
    bootstrap, topic = sys.argv[1:]
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)])
    table, moves = {}, {}
    for record in consumer:
        apply(table, moves, json.loads(record.value))
        print(f"{len(table):,} accounts, {len(moves):,} moves", end="\r", flush=True)
