"""Adapters for data providers: each turns one provider's rows into trigger events."""
