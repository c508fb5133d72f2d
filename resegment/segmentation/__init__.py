"""The pure core: from what is known about an account to its segment, at every instant. No IO, no clock."""
