"""What processes serve over HTTP."""
