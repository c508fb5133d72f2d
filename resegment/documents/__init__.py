"""Reading YAML with places, and diagnostics: what all files that people write have in common."""
