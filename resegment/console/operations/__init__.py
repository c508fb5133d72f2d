"""Views of a running prefix."""
