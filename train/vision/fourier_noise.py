"""Image noise drawn in the frequency domain, with a chosen spectrum."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2


def hermitian_spectrum(channels: int, height: int, width: int, exponent: float = 0.0) -> Tensor:
    """Random half spectrum of real noise, complex64 (channels, height, width // 2 + 1), as of `torch.fft.rfft2`.

    Its amplitude falls with the radial frequency f as f ** -exponent: 0 is white, 1 pink, like natural images. There is
    no constant part, so the noise does not change the mean.
    """
    spectrum = torch.randn(channels, height, width // 2 + 1, dtype=torch.complex64)
    # Columns that are their own mirror image must satisfy Z(-k) = conj(Z(k)) in themselves.
    for column in {0, width // 2} if width % 2 == 0 else {0}:
        mirrored = spectrum[:, :, column].flip(1).roll(1, 1).conj()
        spectrum[:, :, column] = (spectrum[:, :, column] + mirrored) / math.sqrt(2)
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    frequency[0, 0] = math.inf if exponent > 0 else 1.0
    spectrum = spectrum * frequency.pow(-exponent)
    spectrum[:, 0, 0] = 0
    return spectrum


def energy(spectrum: Tensor, width: int) -> Tensor:
    """The sum of squares of the real image of a half spectrum (…, H, W // 2 + 1), by Parseval's theorem.

    Every column except those that are their own mirror image stands for two of the whole spectrum.
    """
    power = spectrum.abs().square()
    doubled = power[..., 1 : (width + 1) // 2].sum(dim=(-2, -1))
    return (power.sum(dim=(-2, -1)) + doubled) / (spectrum.shape[-2] * width)


def fourier_noise(height: int, width: int, level: float, exponent: float = 0.0, channels: int = 3) -> Tensor:
    """Real noise, float32 (channels, height, width), with root mean square `level` in every channel."""
    spectrum = hermitian_spectrum(channels, height, width, exponent)
    wanted = level**2 * height * width
    scale = (wanted / energy(spectrum, width).clamp_min(1e-30)).sqrt()
    return torch.fft.irfft2(spectrum * scale[:, None, None], s=(height, width))


class FourierNoise(v2.Transform):
    """Adds `fourier_noise` to an image (C, H, W) or to each image of a batch (N, C, H, W).

    Images are uint8 or float in [0, 1]; dtype and range are kept. level: root mean square of the noise, relative to the
    full range. Values beyond the range are clipped.
    """

    _transformed_types = (tv_tensors.Image, v2._utils.is_pure_tensor)

    def __init__(self, level: float, exponent: float = 0.0) -> None:
        super().__init__()
        self.level = level
        self.exponent = exponent

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        *channels, height, width = inpt.shape
        full = 1.0 if inpt.is_floating_point() else 255.0
        noise = fourier_noise(height, width, self.level * full, self.exponent, math.prod(channels))
        noise = noise.view(inpt.shape).to(inpt.device)
        noisy = (inpt.as_subclass(Tensor).float() + noise).clamp(0, full)
        noisy = noisy.to(inpt.dtype) if inpt.is_floating_point() else noisy.round().to(inpt.dtype)
        return tv_tensors.wrap(noisy, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else noisy
