"""`data: {source: shapes}`: composed images of five shapes, for detection and segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from train.core.generated_data import GeneratedData
from train.core.loading import MAX_LOADERS
from train.demo.shapes.coco_files import write_coco


class Shapes(GeneratedData):
    """Validation and test use other photographs, other shapes and larger images than training."""

    source: Literal["shapes"] = "shapes"
    training: int = Field(default=3200, ge=2, description="images")
    validation: int = Field(default=40, ge=1, description="number of images that select the best checkpoint")
    test: int = Field(default=120, ge=1, description="number of test images")
    seed: int = 0
    workers: int | None = Field(
        default=None, ge=0, le=MAX_LOADERS, description="loader processes; depends on the cores by default"
    )

    def files(self, training: bool = True) -> dict[str, Any]:
        test = self.coco("test")
        first, validation = (self.coco("training"), self.coco("validation")) if training else (test, test)
        # The images were just written, so none can be broken.
        return {**first, "validation": validation, "test": test, "decode": False, "workers": self.workers}

    def coco(self, part: str) -> dict[str, Path]:
        folder = self.folder(part)
        return {"images": folder, "annotations": folder / "annotations.json"}

    def write(self, folder: Path, part: str) -> None:
        counts = {"training": self.training, "validation": self.validation, "test": self.test}
        write_coco(folder, part, counts[part], self.seed)
