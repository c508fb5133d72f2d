"""The hot path: fold facts into accounts and decide their segments."""
