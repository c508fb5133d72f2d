"""What the router does with the accounts of a batch: it runs their steps together, and offers what is in queues."""
