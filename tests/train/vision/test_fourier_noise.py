"""Noise of a given spectrum, against its definition."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors

from tests.train.vision.scene import scene
from train.vision.fourier_noise import FourierNoise, energy, fourier_noise, hermitian_spectrum


@pytest.mark.parametrize("size", [(32, 32), (33, 31), (16, 21), (21, 16)])
@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_the_spectrum_is_hermitian_and_its_energy_parsevals(size: tuple[int, int], exponent: float) -> None:
    torch.manual_seed(0)
    spectrum = hermitian_spectrum(3, *size, exponent)
    noise = torch.fft.irfft2(spectrum, s=size)
    # Nothing of it is lost on the way to a real image and back.
    torch.testing.assert_close(torch.fft.rfft2(noise), spectrum, rtol=1e-4, atol=1e-4 * spectrum.abs().max().item())
    torch.testing.assert_close(energy(spectrum, size[1]), noise.square().sum((1, 2)), rtol=1e-4, atol=0)
    # The reference: numpy's full transform.
    whole = np.fft.fft2(noise.numpy().astype(np.float64))
    np.testing.assert_allclose(
        energy(spectrum, size[1]).numpy(), (np.abs(whole) ** 2).sum((1, 2)) / np.prod(size), rtol=1e-4
    )


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_noise_has_the_level_and_the_spectrum_asked_for(exponent: float) -> None:
    torch.manual_seed(0)
    noise = fourier_noise(128, 128, 0.1, exponent, channels=64)
    torch.testing.assert_close(noise.square().mean((1, 2)).sqrt(), torch.full((64,), 0.1), rtol=1e-4, atol=0)
    assert noise.mean((1, 2)).abs().max() < 1e-6
    power = torch.fft.rfft2(noise).abs().square().mean(0)
    low, high = power[4, 4].item(), power[32, 32].item()
    averaged = power[3:6, 3:6].mean() / power[30:35, 30:35].mean()
    expected = 8 ** (2 * exponent)
    assert averaged.item() == pytest.approx(expected, rel=0.35)
    assert low > 0
    assert high > 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_noisy_image_keeps_dtype_shape_and_range(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    whole = torch.full((3, 65, 64), 128, dtype=torch.uint8)
    image = whole if dtype == torch.uint8 else whole.to(dtype) / 255
    before = image.clone()
    out = FourierNoise(0.05)(tv_tensors.Image(image))
    full = 255 if dtype == torch.uint8 else 1
    assert isinstance(out, tv_tensors.Image)
    assert (out.dtype, out.shape) == (image.dtype, image.shape)
    assert out.min() >= 0
    assert out.max() <= full
    level = (out.double() - image.double()).square().mean().sqrt() / full
    assert level.item() == pytest.approx(0.05, rel=0.02)
    assert torch.equal(image, before)
    extreme = FourierNoise(0.5)(image)
    assert extreme.min() >= 0
    assert extreme.max() <= full


def test_noise_leaves_boxes_alone() -> None:
    image, target = scene(with_masks=True)
    out, found = FourierNoise(0.1)(image, target)
    assert not torch.equal(out.as_subclass(Tensor), image.as_subclass(Tensor))
    assert all(torch.equal(found[key], target[key]) for key in target)


def test_noise_is_another_one_for_each_image_of_a_batch() -> None:
    torch.manual_seed(0)
    noisy = FourierNoise(0.1)(torch.full((4, 3, 16, 16), 0.5))
    noise = (noisy - 0.5).flatten(1)
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 0.2
    torch.testing.assert_close(noise.square().mean(1).sqrt(), torch.full((4,), 0.1), atol=0.01, rtol=0)
