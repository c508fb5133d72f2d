"""The console: pages for the people who run a prefix and who use what it decides, rendered on the server."""
