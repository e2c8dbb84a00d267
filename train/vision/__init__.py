"""Training on images; a room for each task."""
