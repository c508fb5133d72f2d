"""What crosses a border: trigger events, facts, account state, the segments file, changes and commands."""
