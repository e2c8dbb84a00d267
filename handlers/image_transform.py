"""Deprecated: the name of handlers.vision.transform in version 0.1, until the next release."""

from warnings import warn

from handlers.vision.transform import ImageTransform

warn("handlers.image_transform is now handlers.vision.transform", FutureWarning, stacklevel=2)

__all__ = ["ImageTransform"]
