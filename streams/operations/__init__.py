"""What commands ask of a running prefix."""
