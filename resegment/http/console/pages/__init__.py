"""The console's pages, a module each: its routes, and what they show."""
