"""Read what sequencers send back: what people did with the messages of a campaign, a sequence or a cadence."""
