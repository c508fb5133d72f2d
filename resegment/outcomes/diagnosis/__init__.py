"""What figures say about a segments file: where targeting or messaging fails, what to merge, split or drop."""
