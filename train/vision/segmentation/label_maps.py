"""Images with a class for every pixel, from COCO masks or a folder of PNG label maps."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from handlers.vision.formats.png import SIGNATURE
from train.core.config import ExperimentError
from train.core.data_file import files_below, inside, read_bytes, reason
from train.core.data_problems import DataProblems
from train.core.loading import cores
from train.vision import coco
from train.vision.coco import AnnotatedImage
from train.vision.coco_categories import BACKGROUND as COCO_BACKGROUND
from train.vision.images import SUFFIXES, upright_size

# Marks pixels without a class, which training and evaluation ignore.
IGNORE = 255
BACKGROUND = "background"

LabelMap = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImage:
    """truth: the annotated image with its masks, or the path of a PNG label map."""

    path: Path
    truth: AnnotatedImage | Path

    def label_map(self) -> LabelMap:
        """The label index of each pixel (height, width); 255 for ignored pixels."""
        return paint(self.truth) if isinstance(self.truth, AnnotatedImage) else read_label_map(read_bytes(self.truth))


@dataclass(frozen=True)
class LabelledFiles:
    labels: list[str]
    images: list[LabelledImage]
    problems: DataProblems


def paint(image: AnnotatedImage) -> LabelMap:
    """Paint objects onto the background, largest first, so that small ones in front stay visible; ignore crowds."""
    canvas_HW = np.zeros((image.height, image.width), np.uint8)
    for annotation in sorted(image.annotations, key=lambda a: (not a.crowd, -a.area)):
        canvas_HW[annotation.mask().astype(bool)] = IGNORE if annotation.crowd else annotation.label
    return canvas_HW


def read_label_map(data: bytes, size: tuple[int, int] | None = None) -> LabelMap:
    """Decode a PNG with one number per pixel, greyscale or with a palette.

    size: (height, width) of its image, if it is to be compared. Raises ValueError for a colour image, and for another
    size before anything is decoded.
    """
    # Pillow would choose the reader by the content, and that of PostScript runs a program.
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.mode not in ("L", "P", "I", "I;16", "1"):
            raise ValueError("is a colour image; wanted one number per pixel")
        if size and (image.height, image.width) != size:
            raise ValueError("size differs from its image")
        values_HW = np.asarray(image)
    if values_HW.max(initial=0) > IGNORE:
        raise ValueError(f"contains {values_HW.max()}; wanted numbers up to 255")
    return values_HW.astype(np.uint8)


def from_coco(annotations: Path, folder: Path, decode: bool, labels: list[str] | None) -> LabelledFiles:
    """labels: of the training file. Raises ExperimentError if the file cannot be read at all."""
    known = [COCO_BACKGROUND, *labels[1:]] if labels else None
    file = coco.read(annotations, folder, masks=True, decode=decode, labels=known)
    if len(file.labels) > IGNORE:
        raise ExperimentError(f"{annotations} has {len(file.labels) - 1} categories; a label map can have up to 254")
    images = [LabelledImage(image.path, image) for image in file.images]
    return LabelledFiles([BACKGROUND, *file.labels[1:]], images, file.problems)


def from_maps(maps: Path, images: Path, decode: bool, labels: list[str]) -> LabelledFiles:
    """Pair the images of a folder with the PNGs of the same names in another.

    What cannot be paired or read is skipped, reported and counted. Raises ExperimentError if a folder is missing.
    """
    for folder in (images, maps):
        if not folder.is_dir():
            raise ExperimentError(f"{folder} is not a folder; wanted one folder of images and one of label maps")
    problems = DataProblems()
    paths = [
        path
        for path in files_below(images, images, lambda name, why: problems.add(f"image: {why}", name))
        if path.suffix.lower() in SUFFIXES
    ]
    pairs = [(path, (maps / path.relative_to(images)).with_suffix(".png")) for path in paths]
    found = files_below(maps, maps, lambda name, why: problems.add(f"map: {why}", name))
    for alone in sorted({path for path in found if path.suffix == ".png"} - {map_path for _, map_path in pairs}):
        problems.add("map: no image of the same name", alone.name)
    paired = []
    with ThreadPoolExecutor(cores()) as pool:
        wrongs = pool.map(lambda pair: check(images, maps, pair, decode, len(labels)), pairs)
        for (path, map_path), wrong in zip(pairs, track(wrongs, "maps", total=len(pairs), transient=True), strict=True):
            if wrong:
                problems.add(wrong, path.name)
            else:
                paired.append(LabelledImage(path, map_path))
    return LabelledFiles(labels, paired, problems)


def check(images: Path, maps: Path, pair: tuple[Path, Path], decode: bool, labels: int) -> str:
    """The problem with an image in `images` or its map in `maps`; empty if there is none."""
    try:
        size = upright_size(inside(images, pair[0]), decode)
    except OSError as error:
        size = reason(error)
    if isinstance(size, str):
        return f"image: {size}"
    try:
        data = read_bytes(inside(maps, pair[1]))
    except FileNotFoundError:
        return "image: no map of the same name"
    except OSError as error:
        return f"map: {reason(error)}"
    if not data.startswith(SIGNATURE):
        return "map: not a PNG"
    try:
        map_HW = read_label_map(data, size)
    except ValueError as error:
        return f"map: {error}"
    except Image.DecompressionBombError:  # many more pixels than an image may have
        return "map: size differs from its image"
    except (OSError, SyntaxError):
        return "map: broken"
    if (map_HW == IGNORE).all():
        return "map: contains only 255, so that there is nothing to learn"
    unknown = np.unique(map_HW[(map_HW >= labels) & (map_HW != IGNORE)])
    return f"map: contains {unknown[0]}; wanted 0 to {labels - 1}" if len(unknown) else ""
