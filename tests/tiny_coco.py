"""A small COCO data set on disk, of real composed pictures."""

import json
from pathlib import Path
from typing import Any

from train.coco_example import composed, write_coco


def tiny_coco(folder: Path, pictures: int = 6, sides: tuple[int, int] = (72, 104)) -> dict[str, Path]:
    """{"images", "annotations"} as a configuration takes them."""
    return {"images": folder, "annotations": write_coco(folder, "tiny", composed("training", pictures, sides))}


def changed(path: Path, **keys: Any) -> Path:
    """The JSON beside itself, with other values under some keys."""
    values = {**json.loads(path.read_text()), **keys}
    written = path.with_name(f"changed-{path.name}")
    written.write_text(json.dumps(values))
    return written
