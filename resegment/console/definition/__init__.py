"""Views of segments files and their decisions."""
