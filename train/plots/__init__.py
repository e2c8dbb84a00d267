"""Plots and images of what a training saw and what its model predicts."""
