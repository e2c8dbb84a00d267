"""A small COCO data set on disk, of real composed images."""

from pathlib import Path

from train.demo.shapes.coco_files import write_coco


def tiny_coco(folder: Path, images: int = 6, sides: tuple[int, int] = (72, 104)) -> dict[str, Path]:
    """{"images", "annotations"} as a configuration takes them."""
    return {"images": folder, "annotations": write_coco(folder, "training", images, sides=sides)}
