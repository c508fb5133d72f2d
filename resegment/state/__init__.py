"""A partition's state: the port, its adapter to Redis and its twin in memory."""
