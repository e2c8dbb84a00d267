"""Downloads archives from object stores, hubs, registries and web servers into a model store."""
