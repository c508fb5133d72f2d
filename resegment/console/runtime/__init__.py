"""Views of processes: what `up` and `demo` print."""
