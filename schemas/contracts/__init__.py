"""Documents that are generated from the models, and the rule about what may change in them."""
