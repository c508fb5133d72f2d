"""Follow single signals from their trigger to the delivery of their commands, with OpenTelemetry."""
