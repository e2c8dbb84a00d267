"""A small COCO data set on disk, of real composed pictures."""

from pathlib import Path

from train.coco_example import composed, write_coco


def tiny_coco(folder: Path, pictures: int = 6, sides: tuple[int, int] = (72, 104)) -> dict[str, Path]:
    """{"images", "annotations"} as a configuration takes them."""
    return {"images": folder, "annotations": write_coco(folder, "tiny", composed("training", pictures, sides))}
