"""Follow `segment-changes` and track the segment of every account, applying each change once.

    python docs/contracts/consumer.py localhost:9092 resegment.segment-changes

Needs kafka-python. A repeated change (a worker died before it recorded the first delivery) has a
`sequence_number` that is not greater than the last one seen. A change that `supersedes` another voids it:
undo everything that the other one caused.
"""

# ruff: noqa: INP001, T201 -- an example that prints what it sees
import json
import sys

from kafka import KafkaConsumer, TopicPartition


def apply(table: dict, moves: dict, event: dict) -> None:
    """Apply one change to `table` (account: segment, last number) and `moves` (id: a move that was not voided)."""
    change = event["data"]
    _, last = table.get(change["account"], (None, 0))
    if change["sequence_number"] <= last:
        return  # seen before
    table[change["account"]] = (change["to"], change["sequence_number"])
    moves.pop(change["supersedes"], None)
    if change["from"] != change["to"]:  # if equal, it only voids the change that it supersedes
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
