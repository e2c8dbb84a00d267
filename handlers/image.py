"""The name that handlers.vision.decoding had in version 0.1; it goes with the next release."""

from warnings import warn

from handlers.vision.decoding import decode_image

warn("handlers.image is now handlers.vision.decoding", FutureWarning, stacklevel=2)

__all__ = ["decode_image"]
