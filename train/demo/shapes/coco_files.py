"""Composed images as COCO data sets on disk: `python -m train.demo.shapes.coco_files FOLDER` writes an example."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count as numbers
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from pycocotools import mask as coco_mask
from rich.progress import track

from train.demo.shapes.images import Composed, composed
from train.demo.shapes.shapes import SHAPES


def write_coco(folder: Path, part: str, count: int, seed: int = 0, sides: tuple[int, int] | None = None) -> Path:
    """Write `count` images of a part (see `composed`) as JPEG files into `folder`, with their annotations.

    sides: range of the images' sides in pixels; by default the part's. Returns the path of the JSON,
    `folder`/annotations.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write = partial(write_image, folder, part, seed, sides)
    if count < 500:  # starting processes would take longer
        found = [write(index) for index in range(count)]
    else:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
            written = pool.map(write, range(count), chunksize=16)
            found = list(track(written, f"composing images for {part}", total=count, transient=True))
    identifiers = numbers(1)
    images = [image for image, _ in found]
    annotations = [{"id": next(identifiers), **annotation} for _, objects in found for annotation in objects]
    categories = [{"id": index, "name": shape} for index, shape in enumerate(SHAPES, start=1)]
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def write_image(
    folder: Path, part: str, seed: int, sides: tuple[int, int] | None, index: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the image's entry in COCO's form, its annotations without ids)."""
    drawn: Composed = composed(part, index, seed, sides)
    file_name = f"{index:05d}.jpg"
    Image.fromarray(drawn.image_HWC).save(folder / file_name, quality=92)
    height, width = drawn.label_map_HW.shape
    objects = []
    for instance, (box, label) in enumerate(zip(drawn.boxes, drawn.labels, strict=True), start=1):
        mask_HW = drawn.instances_HW == instance
        rle = coco_mask.encode(np.asfortranarray(mask_HW, dtype=np.uint8))
        x1, y1, x2, y2 = box.tolist()
        objects.append(
            {
                "image_id": index,
                "category_id": int(label),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": int(mask_HW.sum()),
                "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": rle["counts"].decode("ascii")},
            }
        )
    return {"id": index, "file_name": file_name, "width": width, "height": height}, objects


def main(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    training: Annotated[int, typer.Option(min=2, help="Number of training images.")] = 400,
    validation: Annotated[int, typer.Option(min=1, help="Number of validation images, over other photographs.")] = 100,
    seed: int = 0,
) -> None:
    """Write composed images, textured shapes over photographs, to FOLDER with their annotations."""
    if folder.exists():
        raise typer.BadParameter(f"{folder} exists")
    for part, count in (("training", training), ("validation", validation)):
        print(write_coco(folder / part, part, count, seed))


if __name__ == "__main__":
    typer.run(main)
