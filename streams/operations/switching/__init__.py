"""Plan a switch to another version, carry the plan out, and go back: for commands and for the console."""
