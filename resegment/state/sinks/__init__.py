"""What Redis keeps of sinks: the call log, the limits, and the state of each sink."""
