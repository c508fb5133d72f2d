"""From the YAML of a segments file to conditions and traits, or to errors that say what was meant."""
