"""What a switch to another version of the segments file would do to accounts, before it is done."""
