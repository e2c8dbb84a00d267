"""Plots and images of training data and predictions."""
