"""Apache Kafka and Redis as processes of a checkout: for the benchmark and for tests."""
