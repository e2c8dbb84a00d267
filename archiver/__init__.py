"""Artifact + spec → a reproducible, verified .mar archive. Nothing here imports torch or `train`, nor of `handlers`
more than `handlers.formats`."""

__version__ = "0.1.0"
