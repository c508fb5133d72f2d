"""Measure what came of touches: a data set in, a report out."""
