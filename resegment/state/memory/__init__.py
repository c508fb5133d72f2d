"""State in memory: the twin of Redis, for tests and replays without a server."""
