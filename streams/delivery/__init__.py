"""The process that delivers commands to webhooks."""
