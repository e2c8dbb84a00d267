"""Deprecated: the name of handlers.vision.decoding in version 0.1, until the next release."""

from warnings import warn

from handlers.vision.decoding import decode_image

warn("handlers.image is now handlers.vision.decoding", FutureWarning, stacklevel=2)

__all__ = ["decode_image"]
