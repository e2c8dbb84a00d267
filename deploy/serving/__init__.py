"""`serve`: from the models that are asked for to a server whose every model has answered."""
