"""Label maps that somebody else wrote: only PNGs of the folder are decoded, and only those of their image's size."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.vision.segmentation.label_maps import from_maps

OUT = "map: leads out of the data's folder; copy the file into it"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n%%EOF\n"


def png(width: int, height: int) -> bytes:
    """A grey PNG that claims this size and has hardly any pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """images/a.png, 64 × 48, without a map."""
    for name in ("images", "maps"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    return tmp_path


def problems(data: Path) -> dict[str, int]:
    return from_maps(data / "maps", data / "images", True, ["background", "one"]).problems.counts


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (POSTSCRIPT, "map: not a PNG"),  # Pillow would start Ghostscript
        (b"text", "map: not a PNG"),
        (png(60_000, 60_000), "map: size differs from its image"),
        (png(13_000, 13_000), "map: size differs from its image"),
        (png(64, 48)[:40], "map: broken"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_maps_that_are_not_decoded(content: bytes, problem: str, data: Path) -> None:
    (data / "maps" / "a.png").write_bytes(content)
    assert problems(data) == {problem: 1}


def test_a_map_without_a_class(data: Path) -> None:
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(data / "maps" / "a.png")
    assert problems(data) == {"map: contains only 255, so that there is nothing to learn": 1}


def test_links_pipes_and_names(data: Path) -> None:
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(data / "outside.png")
    (data / "maps" / "a.png").symlink_to("../outside.png")
    assert problems(data) == {OUT: 1}
    (data / "maps" / "a.png").unlink()
    os.mkfifo(data / "maps" / "a.png")
    assert problems(data) == {"map: it is a pipe, not a file": 1}
    (data / "images" / "a.png").unlink()
    os.mkfifo(data / "images" / "a.png")
    assert problems(data) == {"image: it is a pipe, not a file": 1}
    (data / "images" / "a.png").unlink()
    (data / "images" / "up").symlink_to("..")
    (data / "maps" / os.fsdecode(b"\xff.png")).touch()
    assert problems(data) == {
        "image: is a link to a folder, which is not followed": 1,
        "map: its name is not UTF-8; rename it": 1,
        "map: no image of the same name": 1,
    }
