"""Keep who may use the console: tokens, of which only hashes are kept, and sessions."""
