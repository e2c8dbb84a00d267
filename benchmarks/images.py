"""The images that are sent, and what a model says about each when it is called in Python."""

from __future__ import annotations

import io
from functools import cache

import skimage.data
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from benchmarks.models import Classifier
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.transform import ImageTransform

SIZE = (640, 480)
QUALITY = 90
TRANSFORM = ImageTransform(resize=256, crop=(224, 224))
# Photographs that come with scikit-image and scikit-learn.
NAMES = ("astronaut", "coffee", "chelsea", "rocket", "cat", "retina")


@cache
def images() -> tuple[bytes, ...]:
    """JPEGs of 640 × 480 pixels: photographs, and each of them mirrored."""
    photographs = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    photographs += [Image.fromarray(getattr(skimage.data, name)()) for name in NAMES]
    encoded = []
    for photograph in photographs:
        fitted = photograph.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
        for version in (fitted, fitted.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
            buffer = io.BytesIO()
            version.save(buffer, "JPEG", quality=QUALITY)
            encoded.append(buffer.getvalue())
    return tuple(encoded)


@cache
@torch.inference_mode()
def expected(classifier: Classifier) -> list[tuple[int, float]]:
    """(index, probability) of the most probable class of each image, from the eager model."""
    network = classifier.network()
    answers = []
    for data in images():
        image = decode_image(Payload(data, "image/jpeg"))
        probability, index = network(TRANSFORM(image)[None]).softmax(dim=1)[0].max(dim=0)
        answers.append((int(index), float(probability)))
    return answers
