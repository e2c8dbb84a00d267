"""How the items of several requests share one call of the model."""
