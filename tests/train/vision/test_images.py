"""Image files as training reads them, and those that it cannot read."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.train.images import plain_image, write_folders
from train.core.labelled_files import FileReader, list_folders
from train.vision.images import SUFFIXES, Unreadable, check, read_image, unreadable


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_images_without_loss_are_read_as_they_are(form: str) -> None:
    image = plain_image("red", np.random.default_rng(0))
    found = read_image(encode(image, form, **({"lossless": True} if form == "WEBP" else {})))
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), np.asarray(image))


def test_a_large_jpeg_is_shrunk_by_its_decoder_to_no_less_than_asked() -> None:
    smooth = plain_image("green", np.random.default_rng(0)).resize((800, 600))
    data = encode(smooth, "JPEG", quality=95)
    small = read_image(data, side=140)
    assert small.shape == (3, 150, 200)
    whole = torch.nn.functional.avg_pool2d(read_image(data).float(), 4)
    assert (small - whole).abs().mean() < 1.5
    assert read_image(data, side=301).shape == (3, 600, 800)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_the_check_finds_what_reading_would(form: str) -> None:
    data = encode(plain_image("red", np.random.default_rng(0)).resize((300, 200)), form)
    check(data)
    read_image(data)
    for broken in (data[: len(data) // 2], data[:30], b"", b"text"):
        with pytest.raises(Unreadable):
            check(broken)
        with pytest.raises(Unreadable):
            read_image(broken)


def test_unreadable_files_are_named_with_the_reason(tmp_path: Path) -> None:
    write_folders(tmp_path, 2)
    (tmp_path / "red" / "00.jpg").write_bytes(b"nothing")
    (tmp_path / "red" / "01.png").write_bytes((tmp_path / "red" / "01.png").read_bytes()[:200])
    files = [example.file for example in list_folders(tmp_path, SUFFIXES).examples]
    bad = unreadable([*files, "red/gone.jpg"], FileReader(tmp_path), threads=2)
    assert bad.keys() == {"red/00.jpg", "red/01.png", "red/gone.jpg"}
    assert "not an image" in bad["red/00.jpg"]
    assert "Out of bound read" in bad["red/01.png"]
    assert bad["red/gone.jpg"] == "no such file"
