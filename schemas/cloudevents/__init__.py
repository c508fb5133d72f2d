"""Decode CloudEvents from Kafka records, and name what is none."""
