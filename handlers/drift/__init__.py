"""Compares a model's inputs and answers in service with its validation data."""
