"""Training of text classifiers on a user's own data."""
