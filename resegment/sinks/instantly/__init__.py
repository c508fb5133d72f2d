"""Instantly as a sink."""
