"""Exports published weights as artifacts, without training."""
