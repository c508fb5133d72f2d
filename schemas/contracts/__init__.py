"""Documents that are generated from the models, and the rule of what may change in them."""
