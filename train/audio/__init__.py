"""Training on audio recordings."""
