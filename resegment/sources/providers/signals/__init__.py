"""Read what services that watch the market report: rounds, jobs, technologies, news."""
