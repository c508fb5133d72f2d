"""HubSpot: sequences, lists, tasks, contacts and fields of companies, by its date-versioned API (2026-03)."""
