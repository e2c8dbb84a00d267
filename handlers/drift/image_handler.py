"""The base of all tasks on images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from handlers.base import Handler
from handlers.drift.statistics import of_image
from handlers.protocol.payload import InputType, Payload
from handlers.vision.decoding import decode_image

Item = TypeVar("Item")
Output = TypeVar("Output")


class ImageHandler(Handler[Item, Output]):
    input_type = InputType.MEDIA

    def measure(self, payload: Payload, item: Item) -> Mapping[str, float]:
        """Statistics of the image as sent, before a transform resizes it."""
        return of_image(decode_image(payload, int(self.limits["max_pixels"])))
