"""Read conditions and traits from the YAML of a segments file, or report errors that say what was meant."""
