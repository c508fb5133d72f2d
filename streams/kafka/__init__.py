"""Plain Kafka clients that know nothing of faust, and the unpacking of what they fetch."""
