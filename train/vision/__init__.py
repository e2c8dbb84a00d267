"""Training on images, one folder per task."""
