"""Views of segments files and what they decide."""
