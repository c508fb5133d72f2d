"""Commands that change the segments file of a running prefix: plan, apply, roll back, shadow, compare, look back."""
