"""Keep the keys of personal fields, apart from the data that they protect."""
