"""The log of the embedded broker on disk: batches of records, topics and offsets, in files of groups."""
