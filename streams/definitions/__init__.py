"""The versions of a prefix's segments file, and the switches from one to another."""
