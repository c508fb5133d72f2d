"""Adapters of providers: each turns one provider's rows into trigger events of the contract."""
