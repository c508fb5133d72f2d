"""A transport for faust that hands over whole batches. It imports nothing else of this project: see README.md."""
