"""Bring titles and rounds of any provider to the words of the contract."""
