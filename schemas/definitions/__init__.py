"""How versions of a segments file, and switches between them, are written."""
