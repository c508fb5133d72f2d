"""Writing tables: follow the topics of a prefix, and keep a database's tables equal to them."""
