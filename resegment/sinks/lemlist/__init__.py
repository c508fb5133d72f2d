"""lemlist as a sink."""
