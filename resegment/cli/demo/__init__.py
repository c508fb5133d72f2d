"""The demo: data that ships with the package, through the whole pipeline."""
