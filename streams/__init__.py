"""Kafka and faust: the topics, the batched transport, and what binds agents to them."""
