"""Commands about what came of touches."""
