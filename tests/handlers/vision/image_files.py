"""Images as files, and their pixels as the server and training read them."""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from tests.inputs import IMAGES
from train.vision.images import check, read_image

RGB = IMAGES[2]  # 63 × 99


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """(height, width, 3), by the server and by training alike."""
    image = decode_image(Payload(data))
    check(data)
    assert torch.equal(read_image(data), image)
    return image.permute(1, 2, 0).numpy()
