"""Salesloft as a sink."""
