"""What happened in a prefix during some time: counted from its topics."""
