"""Turn what providers send into trigger events: the port of adapters, and what all of them are made of."""
