"""Who may own an account, and which account comes first: pure functions of the file, the account and an instant."""
