"""Read what databases of companies say: rounds, attributes, jobs."""
