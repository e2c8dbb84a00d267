"""Training on recordings."""
