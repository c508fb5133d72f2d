"""What may be written in a segments file."""
