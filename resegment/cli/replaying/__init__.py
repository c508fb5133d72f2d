"""Replay recorded events: pack them by account, replay the accounts in one process or several, and sort what comes out."""
