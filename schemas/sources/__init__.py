"""What is known of the sources of events: which are silent, and since when."""
