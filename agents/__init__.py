"""One job per file: plain async functions over batches, without faust."""
