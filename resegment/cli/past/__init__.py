"""Commands that keep the past, and look at it."""
