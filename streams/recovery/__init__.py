"""Rebuild Redis from the log, and verify it against the log."""
