"""Annotated images, split into training, validation and test sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from train.core.config import ExperimentError
from train.core.data_problems import DataProblems

Image = TypeVar("Image")


@dataclass(frozen=True)
class AnnotatedSplit(Generic[Image]):
    """labels: the background, then the classes. problems: by name of the annotation file or folder."""

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
        """The part of an error message that lists what was skipped; empty if nothing was."""
        problems = "\n".join(f"{name}:\n{problems}" for name, problems in self.problems.items() if len(problems))
        return f"; skipped:\n{problems}" if problems else ""

    def check(self, strict: bool) -> None:
        """Raise ExperimentError if training or evaluation is impossible; strict: also for any problem in the data."""
        if strict and self.left_out:
            raise ExperimentError(f"data.on_problem is fail, and the data has problems{self.left_out}")

    def describe(self) -> dict[str, Any]:
        """The sizes of all parts, and what was skipped."""
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
                lines.append(f"{name}: {len(problems)} problems, skipped:\n{problems}")
        return "\n".join(lines)
