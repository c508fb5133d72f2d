"""Archiving: follow the topics of a prefix, and write what they carry to an archive."""
