"""Commands that keep what topics carry elsewhere: the archive and tables."""
