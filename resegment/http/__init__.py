"""The HTTP servers of workers and delivery processes."""
