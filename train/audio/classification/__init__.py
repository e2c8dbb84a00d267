"""Audio classification on the user's own recordings."""
