"""Outreach as a sink."""
