"""What came of touches, for people: tables and charts on a terminal, and one HTML file."""
