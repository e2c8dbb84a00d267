"""A spec and an artifact for weights that somebody already has: `bundle new`."""
