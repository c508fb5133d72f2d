"""The commands that say who may use the console."""
