"""What is coming for accounts as they are now, and what is not known of them."""
