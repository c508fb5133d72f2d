"""Personal fields: which they are, how they are sealed in facts, and how the keys for that are named."""
