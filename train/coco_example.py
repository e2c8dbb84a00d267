"""Composed pictures as a COCO data set on disk: `python -m train.coco_example FOLDER`, to try training on a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from pycocotools import mask as coco_mask
from rich.progress import track

from train.photographs import HELD_OUT, TRAINING
from train.shape_pictures import Picture, compose
from train.shapes import SHAPES


def write_coco(folder: Path, name: str, pictures: list[Picture]) -> Path:
    """Write `folder`/`name`.json and the pictures, as JPEG in `folder`/`name`; returns the path of the JSON."""
    (folder / name).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures):
        file_name = f"{name}/{number:05d}.jpg"
        Image.fromarray(picture.image_HWC).save(folder / file_name, quality=92)
        height, width = picture.label_map_HW.shape
        images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for instance, (box, label) in enumerate(zip(picture.boxes, picture.labels, strict=True), start=1):
            mask_HW = picture.instances_HW == instance
            rle = coco_mask.encode(np.asfortranarray(mask_HW, dtype=np.uint8))
            x1, y1, x2, y2 = box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": int(mask_HW.sum()),
                    "iscrowd": 0,
                    "segmentation": {"size": [height, width], "counts": rle["counts"].decode("ascii")},
                }
            )
    categories = [{"id": index + 1, "name": shape} for index, shape in enumerate(SHAPES)]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def composed(split: str, count: int, sides: tuple[int, int], seed: int = 0) -> list[Picture]:
    """Pictures with sides drawn from a range of pixels; a split, "training" or not, has its own photographs."""
    rng = np.random.default_rng([seed, split == "training"])
    photographs = TRAINING if split == "training" else HELD_OUT
    pictures = []
    for _ in track(range(count), f"{count} pictures for {split}", transient=True):
        height, width = (int(side) for side in rng.integers(sides[0], sides[1] + 1, 2))
        pictures.append(compose(rng, photographs, (height, width)))
    return pictures


def main(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    training: Annotated[int, typer.Option(min=1, help="Pictures to train on.")] = 400,
    validation: Annotated[int, typer.Option(min=1, help="Pictures over other photographs.")] = 100,
    seed: int = 0,
) -> None:
    """Write composed pictures, textured shapes over photographs, to FOLDER with their annotations."""
    if folder.exists():
        raise typer.BadParameter(f"{folder} exists")
    write_coco(folder, "training", composed("training", training, (192, 320), seed))
    write_coco(folder, "validation", composed("validation", validation, (240, 640), seed))
    print(f"{folder}/training.json, {folder}/validation.json")


if __name__ == "__main__":
    typer.run(main)
