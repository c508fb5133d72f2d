"""The logs that are stored of accounts: their framing, and the items of a state."""
