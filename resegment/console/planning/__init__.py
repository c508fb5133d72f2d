"""Views of plans: on a terminal, in Markdown, as a page."""
