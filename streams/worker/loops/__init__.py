"""What a worker does beside its stages, again and again."""
