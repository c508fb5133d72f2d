"""Everything that crosses a boundary: trigger events, facts, account state, the segments file, changes and commands."""
