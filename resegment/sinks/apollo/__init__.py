"""Apollo as a sink."""
