"""Read the envelopes of change streams around rows of other tools."""
