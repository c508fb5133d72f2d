"""Read what vendors of intent say: which company researches which topic."""
