"""The values that tests read: of attributes, traits, scores and open things."""
