"""Seal what leaves for topics, and open it for those who read it, where personal fields have keys."""
