"""Forget accounts and persons: their keys, what Redis keeps of them, and what is still pending."""
