"""Which names mean which account: records of the topic `identities`, and steps of merges in `signals`."""
