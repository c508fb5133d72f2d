"""Commands that read or change a running prefix."""
