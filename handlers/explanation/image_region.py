"""The part of an image that a model sees."""

from __future__ import annotations

from handlers.vision.network_input import Transform

Box = tuple[float, float, float, float]


def region(transform: Transform, height: int, width: int, rows: int, columns: int) -> Box:
    """The box x1 y1 x2 y2, in pixels of an image (height, width), that the transform's output (rows, columns) covers.

    It reaches beyond the image if the output is padded. A crop is around the centre.
    """
    tall, wide = transform.resized(height, width)
    top, left = ((resized - size) / 2 if size < resized else 0.0 for resized, size in ((tall, rows), (wide, columns)))
    if getattr(transform, "crop", None) is not None:  # torchvision's crop pads on all sides
        top, left = (tall - rows) / 2, (wide - columns) / 2
    down, across = height / tall, width / wide
    return left * across, top * down, (left + columns) * across, (top + rows) * down
