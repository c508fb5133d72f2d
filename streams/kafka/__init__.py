"""Plain Kafka clients that know nothing of faust."""
