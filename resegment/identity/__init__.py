"""Which account a subject belongs to."""
