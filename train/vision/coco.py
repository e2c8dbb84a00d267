"""Reads COCO's detection and segmentation JSON: images with boxes and masks; problems are reported and counted."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from rich.progress import track

from train.core.config import ExperimentError
from train.core.data_file import inside, reason
from train.core.data_problems import DataProblems
from train.core.loading import cores
from train.vision.coco_categories import read_categories, without_groups
from train.vision.coco_json import is_id, read_json
from train.vision.coco_masks import InvalidMask, Rle, is_finite, read_mask
from train.vision.images import upright_size

SIDES = ("height", "width")
# A detector's input would be less than a pixel wide.
MIN_SIDE, MAX_ASPECT = 8, 100
MAX_OBJECTS = 2_000  # of an image; each is compared with a quarter of a million boxes

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Annotation:
    """One object, or with `crowd` a group of objects annotated as a whole.

    label: from 1, into the file's labels. box: x1, y1, x2, y2 in pixels, inside the image.
    area: in square pixels, as annotated; otherwise the mask's, or the box's.
    rle: the mask as COCO's compressed run lengths; None if masks were not requested.
    """

    label: int
    box: Box
    area: float
    crowd: bool
    rle: Rle | None = None

    def mask(self) -> NDArray[np.uint8]:
        """The mask (height, width), 1 inside the object."""
        return coco_mask.decode(self.rle)


@dataclass(frozen=True)
class AnnotatedImage:
    """height, width: of the upright image, in pixels. annotations: empty if the image shows no object."""

    path: Path
    height: int
    width: int
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True)
class CocoFile:
    """labels: the background, then the categories by their ids; an annotation's label is an index into it."""

    labels: list[str]
    images: list[AnnotatedImage]
    problems: DataProblems = field(default_factory=DataProblems)


def read(annotations: Path, folder: Path, masks: bool, decode: bool, labels: list[str] | None = None) -> CocoFile:
    """Read and check a COCO file and its images; what is wrong is skipped, reported and counted.

    masks: also read segmentations (polygons or run lengths); annotations without one are skipped.
    decode: decode every image to find broken ones; otherwise read only the headers.
    labels: of the training file; categories are matched to them by name. Raises ExperimentError if the file cannot be
    read at all.
    """
    values = read_json(annotations)
    if not folder.is_dir():
        raise ExperimentError(f"{folder} is not a folder; wanted the images of {annotations}")
    problems = DataProblems()
    categories = values["categories"]
    if labels is None:  # the training file: a validation file need not have every class
        categories = without_groups(categories, values["annotations"], problems)
    found, by_category = read_categories(categories, labels, annotations, problems)
    images = read_images(values["images"], folder, decode, problems)
    listed = {entry.get("id") for entry in values["images"] if isinstance(entry, dict) and is_id(entry.get("id"))}
    objects: dict[Any, list[Annotation]] = {image_id: [] for image_id in images}
    for number, entry in enumerate(track(values["annotations"], "annotations", transient=True)):
        name = f"annotation {entry['id']}" if isinstance(entry, dict) and "id" in entry else f"annotations[{number}]"
        try:
            image_id, label = references(entry, images, listed, by_category)
            name += f" of {images[image_id].path.name}"
            objects[image_id].append(read_annotation(entry, label, images[image_id], masks))
        except Wrong as wrong:
            problems.add(f"annotation: {wrong}", name)
    complete = []
    for image_id, image in images.items():
        if len(objects[image_id]) > MAX_OBJECTS:
            problems.add(f"image: more than {MAX_OBJECTS} objects", image.path.name)
        else:
            complete.append(AnnotatedImage(image.path, image.height, image.width, tuple(objects[image_id])))
    return CocoFile(found, complete, problems)


class Wrong(Exception):
    """A problem with one annotation; problems are counted by their message."""


def references(
    entry: Any, images: dict[Any, AnnotatedImage], listed: set[Any], by_category: dict[Any, int | None]
) -> tuple[Any, int]:
    """An annotation's image id and label. Raises Wrong if either is unknown."""
    if not isinstance(entry, dict) or not is_id(entry.get("image_id")) or not is_id(entry.get("category_id")):
        raise Wrong("wanted {image_id, category_id, …}")
    if entry["image_id"] not in images:
        raise Wrong(f"its image {'was skipped' if entry['image_id'] in listed else 'is not in the file'}")
    if entry["category_id"] not in by_category:
        raise Wrong(f"category_id {entry['category_id']} is not in the file")
    label = by_category[entry["category_id"]]
    if label is None:
        raise Wrong("its category is not one of the training file")
    return entry["image_id"], label


def read_images(entries: list[Any], folder: Path, decode: bool, problems: DataProblems) -> dict[Any, AnnotatedImage]:
    """The readable images by id, still without annotations."""
    listed: dict[Any, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not is_id(entry.get("id")) or not isinstance(entry.get("file_name"), str):
            problems.add("image: wanted {id, file_name}", f"image at position {number}")
        elif entry["id"] in listed:
            problems.add("image: duplicate id", entry["file_name"])
        else:
            listed[entry["id"]] = entry
    paths: dict[Any, Path] = {}
    for image_id, entry in listed.items():
        try:
            paths[image_id] = inside(folder, entry["file_name"])
        except OSError as error:
            problems.add(f"image: {reason(error)}", entry["file_name"])
    images = {}
    for (image_id, path), size in zip(paths.items(), upright_sizes([*paths.values()], decode), strict=True):
        entry = listed[image_id]
        if isinstance(size, str):
            problems.add(f"image: {size}", entry["file_name"])
        elif any(entry.get(name) not in (None, pixels) for name, pixels in zip(SIDES, size, strict=True)):
            # Boxes in another coordinate system than the server's would teach the model wrong positions.
            told = f"{entry.get('width')} × {entry.get('height')} in the JSON, {size[1]} × {size[0]} upright"
            problems.add("image: size differs from the annotated one", f"{entry['file_name']}: {told}")
        elif min(size) < MIN_SIDE or max(size) > MAX_ASPECT * min(size):
            problems.add(
                f"image: below {MIN_SIDE} pixels, or more than {MAX_ASPECT} times as long as wide", entry["file_name"]
            )
        else:
            images[image_id] = AnnotatedImage(path, *size)
    return images


def upright_sizes(paths: list[Path], decode: bool) -> Iterable[tuple[int, int] | str]:
    with ThreadPoolExecutor(cores()) as pool:
        sizes = pool.map(lambda path: upright_size(path, decode), paths)
        yield from track(sizes, "images", total=len(paths), transient=True)


def read_annotation(entry: dict[str, Any], label: int, image: AnnotatedImage, masks: bool) -> Annotation:
    """Read and check one annotation. Raises Wrong with the kind of problem."""
    try:
        rle = read_mask(entry.get("segmentation"), image.height, image.width) if masks else None
    except InvalidMask as error:
        raise Wrong(str(error)) from None
    bbox = entry.get("bbox")
    if bbox is None and rle is not None:
        bbox = coco_mask.toBbox(rle).tolist()
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(is_finite(number) for number in bbox):
        raise Wrong("bbox is not four numbers")
    x, y, width, height = bbox
    if width <= 0 or height <= 0:
        raise Wrong("its box has no area")
    box = (max(x, 0.0), max(y, 0.0), min(x + width, float(image.width)), min(y + height, float(image.height)))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise Wrong("its box lies outside the image")
    left, top, right, bottom = np.array(box, np.float32).tolist()  # as training reads it
    if left >= right or top >= bottom:
        raise Wrong("its box is too small")
    if entry.get("iscrowd") not in (None, 0, 1):
        raise Wrong("iscrowd is neither 0 nor 1")
    area = entry.get("area")
    if area is None or not is_finite(area) or area <= 0:
        area = coco_mask.area(rle) if rle is not None else (box[2] - box[0]) * (box[3] - box[1])
    return Annotation(label, box, float(area), bool(entry.get("iscrowd")), rle)
