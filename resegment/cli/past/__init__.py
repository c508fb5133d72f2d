"""The past of a prefix, for commands that look back."""
