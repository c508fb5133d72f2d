"""A running prefix as pages see it: read again when somebody looks, and followed while somebody does."""
