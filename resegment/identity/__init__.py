"""Resolve subjects to accounts: registrable domains and aliases."""
