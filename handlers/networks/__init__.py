"""Architectures of our own, named by `architecture.factory` in an artifact and built without their weights."""
