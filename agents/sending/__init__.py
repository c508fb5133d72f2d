"""Carry out commands at vendors: once, in order per account, within limits, and with every answer read."""
