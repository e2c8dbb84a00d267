"""Image classification on the user's own data."""
