"""What a play says to one account."""
