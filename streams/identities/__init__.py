"""Carry out merges of accounts on a running prefix, and keep the events whose subject is not resolved yet."""
