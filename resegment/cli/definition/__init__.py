"""Commands about segments files and recorded events."""
