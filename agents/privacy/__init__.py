"""Seal what agents write."""
