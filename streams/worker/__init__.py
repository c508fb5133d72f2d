"""A worker's lifecycle, wiring and stages."""
