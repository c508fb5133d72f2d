"""Read touches and outcomes: from Redis, from an archive, and from files."""
