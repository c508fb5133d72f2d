"""What Redis keeps of the sources of events: when something came from each, and which are silent."""
