"""Touches, the outcomes credited to them, and what these say about segments, plays and owners."""
