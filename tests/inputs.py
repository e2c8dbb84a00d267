"""Inputs that the tests send: images, recordings, sentences and observations, whole and broken."""

import io

import numpy as np
import soundfile
from PIL import Image
from sklearn.datasets import load_sample_image

RATE = 16_000
IMAGES = [
    Image.fromarray(load_sample_image("china.jpg")).resize((320, 214)),
    Image.fromarray(load_sample_image("flower.jpg")).resize((200, 260)),
    Image.fromarray(load_sample_image("china.jpg")).crop((100, 100, 163, 199)),
]
TEXTS = ["Where is the station?", "Ja", "Où se trouve la gare, s'il vous plaît ? 🚉"]
OBSERVATIONS = np.random.default_rng(0).uniform(-0.4, 0.4, (3, 4)).astype(np.float32)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    """An image as the bytes of a file; form: PIL's name of the format."""
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def recording(samples: np.ndarray, form: str = "WAV", subtype: str | None = "FLOAT") -> bytes:
    """Mono samples in [-1, 1] as the bytes of a file; form, subtype: libsndfile's names of the format."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format=form, subtype=subtype)
    return buffer.getvalue()


def noise(seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)
