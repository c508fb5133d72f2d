"""Commands that say which account a name means: merges of accounts, and what is not resolved yet."""
