"""Small folders of real files to train on: patterns that a tiny network can tell apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 40, 30), "green": (40, 200, 60), "blue": (30, 60, 220)}
PATTERNS = ("dots", "stripes")


def plain_image(
    colour: str, rng: np.random.Generator, pattern: str = "", size: tuple[int, int] = (40, 48)
) -> Image.Image:
    """A noisy image of a colour, with stripes or without."""
    pixels = np.tile(np.array(COLOURS[colour], np.float32), (*size, 1))
    if pattern == "stripes":
        pixels[::6] = pixels[1::6] = 20
    if pattern == "dots":
        pixels[::8, ::8] = 255
    pixels += rng.normal(0, 25, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_folders(root: Path, count: int = 12, splits: Sequence[str] = ("",)) -> Path:
    """`root`/[split/]<colour>/NN.<suffix>, `count` images each."""
    rng = np.random.default_rng(0)
    for split in splits:
        for colour in COLOURS:
            folder = root / split / colour
            folder.mkdir(parents=True)
            for number in range(count):
                suffix = ("jpg", "png", "webp", "bmp")[number % 4]
                plain_image(colour, rng).save(folder / f"{number:02}.{suffix}")
    return root


def write_table(root: Path, count: int = 8) -> Path:
    """`root`/images/… and `root`/labels.csv with two tasks, colour and pattern."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    rows = ["file,colour,pattern"]
    for colour in COLOURS:
        for pattern in PATTERNS:
            for number in range(count):
                file = f"images/{colour}-{pattern}-{number}.jpg"
                plain_image(colour, rng, pattern).save(root / file, quality=95)
                rows.append(f"{file},{colour},{pattern}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root
