"""Read experiments out: at the horizon that was declared, not when the result looks good."""
