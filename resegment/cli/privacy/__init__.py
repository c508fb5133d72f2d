"""The commands that protect, forget and hand out personal data."""
