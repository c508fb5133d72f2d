"""Sinks on a terminal, and as data."""
