"""Slack: a message to the owner with the brief."""
