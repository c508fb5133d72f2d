"""Adapters of what goes out."""
