"""Simple statistics of one input as sent, which change when its source does."""

from __future__ import annotations

import numpy as np
from torch import Tensor

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
GRID = 64  # pixels sampled in each direction, or up to twice as many
QUIETEST = -120.0  # dB below full scale


def of_image(image: Tensor) -> dict[str, float]:
    """image: uint8 (3, height, width). brightness: mean luma, 0 to 1. side: the square root of the number of pixels."""
    _, height, width = image.shape
    sampled = image[:, :: max(1, height // GRID), :: max(1, width // GRID)].numpy()
    brightness = float(LUMA @ sampled.reshape(3, -1).mean(axis=1)) / 255
    return {"brightness": brightness, "side": (height * width) ** 0.5, "aspect": width / height}


def of_recording(waveform: Tensor, sample_rate: int) -> dict[str, float]:
    """waveform: (samples,) in [-1, 1]. loudness: its root mean square in dB below full scale."""
    power = float(waveform.square().mean()) if len(waveform) else 0.0
    loudness = 10 * np.log10(power) if power > 0 else QUIETEST
    return {"loudness": max(QUIETEST, float(loudness)), "seconds": len(waveform) / sample_rate}


def of_text(text: str, tokens: list[int], unknown: int | None) -> dict[str, float]:
    """unknown: the token for text that the vocabulary lacks; None if there is none."""
    statistics = {"characters": float(len(text)), "tokens": float(len(tokens))}
    return statistics if unknown is None else statistics | {"unknown": tokens.count(unknown) / max(1, len(tokens))}


def of_numbers(data: object) -> dict[str, float]:
    """data: (nested) lists of numbers."""
    values = np.asarray(data, dtype=np.float64)
    return {"mean": float(values.mean()), "spread": float(values.std())}
