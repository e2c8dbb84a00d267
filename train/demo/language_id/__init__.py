"""Training data for language identification."""
