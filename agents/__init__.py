"""One job a file: plain async functions over batches that know nothing of faust."""
