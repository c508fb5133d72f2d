"""Answers for people: why, what next, what if."""
