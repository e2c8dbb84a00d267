"""Artifact + spec → a reproducible, verified .mar archive. Nothing here imports torch, `handlers` or `train`."""

__version__ = "0.1.0"
