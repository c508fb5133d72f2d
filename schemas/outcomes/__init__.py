"""What says which outcomes count, and how they are read."""
