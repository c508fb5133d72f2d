"""Hand out everything that is known about an account or a person."""
