"""Who works when: the members of teams, and time as it counts for them."""
