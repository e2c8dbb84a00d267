"""Audio classification on recordings of one's own."""
