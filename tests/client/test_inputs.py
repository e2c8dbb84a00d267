"""Objects of numpy, Pillow and torch: a model sees what it sees of a file of the same content."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from client import JpegImage, Waveform
from client.payload import encode
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from tests.inputs import IMAGES, RATE, noise

PHOTOGRAPH = IMAGES[0].crop((40, 20, 120, 90))
PIXELS = np.asarray(PHOTOGRAPH)
GREY16 = Image.fromarray(np.asarray(PHOTOGRAPH.convert("L")).astype(np.uint16) * 257 + 3)


def seen(value: Any) -> torch.Tensor:
    """The pixels that a model gets of what is sent for this object."""
    body, media_type = encode(value)
    return decode_image(Payload(body, media_type))


def file_of(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def with_alpha(mode: str) -> Image.Image:
    image = PHOTOGRAPH.convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def transparent_palette() -> Image.Image:
    image = PHOTOGRAPH.quantize(16)
    image.info["transparency"] = 3
    return image


FILES: dict[str, tuple[str, Callable[[], Image.Image]]] = {
    "RGB": ("PNG", lambda: PHOTOGRAPH),
    "L": ("PNG", lambda: PHOTOGRAPH.convert("L")),
    "1": ("PNG", lambda: PHOTOGRAPH.convert("1")),
    "P": ("PNG", lambda: PHOTOGRAPH.quantize(16)),
    "P, transparent": ("GIF", transparent_palette),
    "RGBA": ("PNG", lambda: with_alpha("RGBA")),
    "RGBA as WebP": ("WEBP", lambda: with_alpha("RGBA")),
    "LA": ("PNG", lambda: with_alpha("LA")),
    "I;16": ("PNG", lambda: GREY16),
    "I;16 as TIFF": ("TIFF", lambda: GREY16),
    "12 bits": ("TIFF", lambda: Image.fromarray(np.asarray(GREY16) // 16)),
    "I": ("TIFF", lambda: Image.fromarray(np.asarray(GREY16).astype(np.int32))),
    "F": ("TIFF", lambda: Image.fromarray((np.asarray(GREY16) / 65535).astype(np.float32))),
    "CMYK": ("TIFF", lambda: PHOTOGRAPH.convert("CMYK")),
}


@pytest.mark.parametrize("name", FILES)
def test_an_image_is_seen_as_its_file_is(name: str) -> None:
    """Made in memory, and opened from the file."""
    form, make = FILES[name]
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    file = file_of(make(), form, **options)
    expected = decode_image(Payload(file, f"image/{form.lower()}"))
    assert expected.float().std() > 10
    with Image.open(io.BytesIO(file)) as opened:
        assert torch.equal(seen(opened), expected)
    assert torch.equal(seen(make()), expected)


@pytest.mark.parametrize("mode", ["RGBX", "HSV", "YCbCr", "RGBa", "La", "PA", "I;16B"])
def test_modes_that_no_file_has_are_converted(mode: str) -> None:
    source = {"RGBa": "RGBA", "La": "LA", "PA": "RGBA"}.get(mode)
    if mode == "I;16B":
        image, expected = Image.frombytes(mode, GREY16.size, np.asarray(GREY16).astype(">u2").tobytes()), GREY16
    elif mode == "PA":
        image = PHOTOGRAPH.quantize(16).convert("PA")
        expected = image.convert("RGBA")
    else:
        base = with_alpha(source) if source else PHOTOGRAPH
        image = base.convert(mode)
        expected = image.convert(source or "RGB")
    assert image.mode == mode
    assert torch.equal(seen(image), decode_image(Payload(file_of(expected, "PNG"), "image/png")))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 0, 99])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_an_image_that_lies_on_its_side(form: str, orientation: int) -> None:
    """Turned by the server, by Pillow, or by the caller, but once."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a secret place"
    options = {"lossless": True} if form == "WEBP" else {}
    file = file_of(PHOTOGRAPH, form, exif=exif.tobytes(), **options)
    expected = decode_image(Payload(file, f"image/{form.lower()}"))
    with Image.open(io.BytesIO(file)) as opened:
        assert torch.equal(seen(opened), expected)
        assert b"secret" not in encode(opened)[0]
        assert torch.equal(seen(ImageOps.exif_transpose(opened)), expected)


def test_broken_exif_is_left_out() -> None:
    image = PHOTOGRAPH.copy()
    image.info["exif"] = b"Exif\0\0not a directory"
    assert torch.equal(seen(image), seen(PHOTOGRAPH))


def test_the_first_frame_of_an_animation() -> None:
    file = file_of(PHOTOGRAPH, "GIF", save_all=True, append_images=[PHOTOGRAPH.rotate(90)])
    with Image.open(io.BytesIO(file)) as opened:
        assert torch.equal(seen(opened), decode_image(Payload(file, "image/gif")))


CHW = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1)
PIXEL_ARRAYS: dict[str, Any] = {
    "array": PIXELS,
    "a view, turned back": np.ascontiguousarray(PIXELS[::-1])[::-1],
    "Fortran order": np.asfortranarray(PIXELS),
    "read-only": np.frombuffer(PIXELS.tobytes(), np.uint8).reshape(PIXELS.shape),
    "tensor": CHW.contiguous(),
    "not contiguous": CHW,
    "a parameter": torch.nn.Parameter(CHW, requires_grad=False),
}


@pytest.mark.parametrize("name", PIXEL_ARRAYS)
def test_pixels_are_an_image(name: str) -> None:
    body, media_type = encode(PIXEL_ARRAYS[name])
    assert media_type == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(body))), PIXELS)


def test_a_jpeg_is_smaller_and_close() -> None:
    png = encode(PIXELS)[0]
    sizes = []
    for quality in (50, 90, 100):
        body, media_type = encode(JpegImage(PIXELS, quality))
        assert media_type == "image/jpeg"
        assert body == encode(JpegImage(CHW, quality))[0] == encode(JpegImage(PHOTOGRAPH, quality))[0]
        sizes.append(len(body))
        error = (seen(JpegImage(PIXELS, quality)).float() - CHW.float()).abs().mean()
        assert error < (12 if quality == 50 else 6)
    assert sizes == sorted(sizes)
    assert sizes[0] < len(png) / 4
    bits = PHOTOGRAPH.convert("1")
    assert (seen(JpegImage(bits, 100)).int() - seen(bits).int()).abs().max() <= 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (JpegImage(PIXELS, 0), "quality: got 0, wanted 1 to 100"),
        (JpegImage(PIXELS / 255), r"got float64 \[70, 80, 3\]; wanted a Pillow image, a uint8"),
        (JpegImage(PIXELS[..., 0]), r"got uint8 \[70, 80\]; wanted"),
        (JpegImage("a.jpg"), "got str; wanted"),  # type: ignore[arg-type]
        (JpegImage(with_alpha("RGBA")), "mode RGBA would lose its transparency"),
        (JpegImage(GREY16), "mode I;16 would lose its transparency or depth"),
        (Image.new("LAB", (4, 4)), "mode is LAB; wanted one of 1, L, LA"),
        (Image.new("RGB", (0, 4)), "the image has 0 x 4 pixels"),
        (Waveform(noise(0.1, 0), 0), "sample_rate: got 0, wanted a whole number of Hz"),
        (Waveform(noise(0.1, 0), 16000.5), "sample_rate: got 16000.5"),  # type: ignore[arg-type]
        (Waveform([0.1, 0.2], RATE), "samples: got list, wanted a NumPy array"),  # type: ignore[arg-type]
        (Waveform(np.zeros((2, 2, 9), np.float32), RATE), r"samples: got shape \[2, 2, 9\]"),
        (Waveform(np.zeros(0, np.float32), RATE), r"samples: got shape \[0\]"),
        (Waveform(np.zeros((900, 2), np.float32), RATE), "got 900 channels of 2 samples; .*transpose it"),
        (Waveform(np.zeros(9, np.int32), RATE), "samples: got int32, wanted floats from -1 to 1, or int16"),
        (Waveform(np.zeros(9, np.complex64), RATE), "samples: got complex64"),
        (Waveform(np.array([0, np.nan]), RATE), "samples: got NaN or infinity"),
        (Waveform(np.array([0, -20000.0]), RATE), "got a peak of 20000, wanted -1 to 1; divide"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), r"the array has nan at \[1\]\[1\]; wanted finite numbers"),
        ({"data": torch.tensor([1.0, float("-inf")])}, r"the array has -inf at \[1\]"),
        (np.array([1 + 2j]), "the array has the dtype complex128; wanted numbers"),
        (np.array(["a"]), "the array has the dtype <U1; wanted numbers"),
        (np.array([None]), "the array has the dtype object; wanted numbers"),
        (np.zeros((0, 4)), r"the array of shape \[0, 4\] is empty"),
        (np.float32(1), "got a single number, wanted an array"),
        (torch.tensor(1.0), "got a single number, wanted an array"),
        (np.ma.masked_less(np.arange(4.0), 2), "the array has masked values"),
        (torch.ones(2, 2).to_sparse(), "the tensor is sparse or nested"),
        (torch.ones(3, device="meta"), "the tensor is without data"),
        (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8), "the tensor is quantized"),
    ],
)
def test_what_cannot_be_sent(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(value)
