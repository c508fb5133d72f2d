"""Whether an account may be enrolled, and the touch that is recorded when it is, or when it is held out."""
