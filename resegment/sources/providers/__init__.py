"""Adapters of data providers: one provider's rows become trigger events."""
