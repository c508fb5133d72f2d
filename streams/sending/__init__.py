"""Sinks in a process: read commands, send them to vendors, write fields, and report the state of each."""
