"""Moves a model's traffic to a new version step by step, or rolls it back, by statistical evidence."""
