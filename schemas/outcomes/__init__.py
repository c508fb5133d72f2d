"""Touches of accounts, what came of them, and which outcomes count."""
