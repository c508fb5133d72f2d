"""Smartlead as a sink."""
