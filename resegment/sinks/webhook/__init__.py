"""Webhooks: endpoints, signatures, guarded addresses and the HTTP client."""
