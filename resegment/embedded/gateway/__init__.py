"""What stands between Kafka clients and the embedded broker, so that what is acknowledged is on disk."""
