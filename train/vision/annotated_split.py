"""Annotated images in three parts: for training, for validation, and for the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from train.core.config import ExperimentError
from train.core.data_problems import DataProblems

Image = TypeVar("Image")


@dataclass(frozen=True)
class AnnotatedSplit(Generic[Image]):
    """labels: the background, then the classes. problems: by the name of the annotation file or folder."""

    labels: list[str]
    training: list[Image]
    validation: list[Image]
    test: list[Image]
    problems: dict[str, DataProblems]

    @property
    def parts(self) -> dict[str, list[Image]]:
        return {"training": self.training, "validation": self.validation, "test": self.test}

    @property
    def left_out(self) -> str:
        """Of an error message: what was left out; empty where nothing was."""
        problems = "\n".join(f"{name}:\n{problems}" for name, problems in self.problems.items() if len(problems))
        return f"; left out are\n{problems}" if problems else ""

    def check(self, strict: bool) -> None:
        """Raises ExperimentError where nothing can be trained or measured; strict: for any problem at all."""
        if strict and self.left_out:
            raise ExperimentError(f"data.on_problem is fail, and there are problems{self.left_out}")

    def describe(self) -> dict[str, Any]:
        """The counts of each part, and of what was left out."""
        return {
            "labels": self.labels,
            **{name: self.describe_part(images) for name, images in self.parts.items()},
            "problems": {name: problems.to_dict() for name, problems in self.problems.items()},
        }

    def describe_part(self, images: list[Image]) -> Any:
        return len(images)

    def __str__(self) -> str:
        lines = [
            f"{len(self.training)} images for training, {len(self.validation)} for validation, "
            f"{len(self.test)} for the test; {len(self.labels)} classes with the background"
        ]
        for name, problems in self.problems.items():
            if len(problems):
                lines.append(f"{name}: {len(problems)} problems, left out:\n{problems}")
        return "\n".join(lines)
