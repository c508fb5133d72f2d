"""State in memory: the twin of Redis for tests and for replays without a server."""
