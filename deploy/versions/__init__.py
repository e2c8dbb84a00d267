"""Versions of a model in operation."""
