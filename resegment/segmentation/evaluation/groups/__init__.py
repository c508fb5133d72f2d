"""Facts of different sources that are one fact: tell which, form groups, and let each group count once."""
