"""Switch a prefix to another version."""
