"""Reads the artifact folder that training wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from archiver.config import StrictModel
from archiver.errors import Problem, SpecError, problems_of
from archiver.reading import read_json
from archiver.spec import MODEL_NAME, Architecture
from archiver.tasks import OWN_TASK, TASKS
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import check_vocabulary
from handlers.formats.onnx import external_files
from handlers.formats.sample import SAMPLE_TYPES
from handlers.formats.weights import check

DESCRIPTION = "artifact.json"
PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

WEIGHTS_SUFFIX = {
    "safetensors": ".safetensors",
    "torchscript": ".pt",
    "torch-export": ".pt2",
    "onnx": ".onnx",
    "huggingface": "",
}

# Suffixes of files that libraries unpickle; `.pt` is allowed only for TorchScript.
PICKLES = {".pkl", ".pickle", ".pth", ".pt", ".bin", ".ckpt", ".joblib", ".dill"}


MAX_FILES = 1000  # in a folder of weights


class Description(StrictModel):
    """artifact.json, schema 1."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=MODEL_NAME)
    task: str = Field(pattern=OWN_TASK)
    format: Literal["safetensors", "torchscript", "torch-export", "onnx", "huggingface"]
    weights: str = Field(pattern=PLAIN_NAME)
    architecture: Architecture | None
    labels: list[str]
    preprocessing: dict[str, Any]
    sample: str = Field(pattern=PLAIN_NAME)
    metrics: dict[str, Any]
    training: dict[str, Any]
    reference: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str]


@dataclass(frozen=True)
class Artifact:
    """files: the files to pack by their path inside the artifact, without `artifact.json` itself.

    sample: file name of a request body for verification and warm-up.
    """

    folder: Path
    description: Description
    files: dict[str, Path]


def read(folder: Path, spec: Mapping[str, Any]) -> Artifact:
    """Read and check an artifact folder. Raises SpecError with all problems.

    spec: the spec's keys, which may override the artifact's architecture and labels.
    """
    file = folder / DESCRIPTION
    try:
        description = Description.model_validate(read_json(file))
    except ValidationError as error:
        raise SpecError(str(file), problems_of(error, Description)) from None
    except UnsafeFile as error:
        raise SpecError(str(file), [Problem("the file", str(error))]) from None
    files, problems = collect(folder, description)
    if description.format == "safetensors" and not (description.architecture or spec.get("architecture")):
        problems.append(Problem("architecture", "missing; the safetensors format needs {factory, arguments}"))
    task = TASKS.get(description.task)
    if task and task.classes and not (description.labels or spec.get("labels")):
        problems.append(Problem("labels", f"wanted a name for each class of {description.task}; got none"))
    if problems:
        raise SpecError(str(file), problems)
    return Artifact(folder, description, files)


def collect(folder: Path, description: Description) -> tuple[dict[str, Path], list[Problem]]:
    """The files of the weights and the sample, and their problems."""
    problems = []
    files = {}
    for key, name in (("weights", description.weights), ("sample", description.sample)):
        path = folder / name
        if path.is_file():
            files[name] = path
        elif path.is_dir() and key == "weights" and description.format == "huggingface":
            files |= {file.relative_to(folder).as_posix(): file for file in path.rglob("*") if file.is_file()}
            if len(files) > MAX_FILES:
                problems.append(Problem(key, f"{name!r} has {len(files)} files; wanted at most {MAX_FILES}"))
        else:
            problems.append(Problem(key, f"{name!r} is not in {folder}"))
    if description.format == "onnx" and description.weights in files:
        try:
            files |= {name: folder / name for name in external_files(folder / description.weights)}
        except UnsafeFile as error:
            problems.append(Problem(description.weights, str(error)))
    if Path(description.weights).suffix != WEIGHTS_SUFFIX[description.format]:
        wanted = WEIGHTS_SUFFIX[description.format] or "a folder"
        problems.append(Problem("weights", f"wanted {wanted} for {description.format}; got {description.weights!r}"))
    if Path(description.sample).suffix not in SAMPLE_TYPES:
        problems.append(Problem("sample", f"wanted one of {', '.join(SAMPLE_TYPES)}; got {description.sample!r}"))
    for name, path in files.items():
        if not path.resolve().is_relative_to(folder.resolve()):
            problems.append(Problem(name, "is a link to a target outside the artifact's folder"))
        elif is_pickle(name, start_of(path), description.format):
            problems.append(Problem(name, "is a pickle, which runs code when loaded; use safetensors"))
    if not problems:
        try:
            check(description.format, folder / description.weights, description.task)
            if description.format == "huggingface":
                check_vocabulary(folder / description.weights)
        except UnsafeFile as error:
            problems.append(Problem(description.weights, str(error)))
    return files, problems


def is_pickle(name: str, start: bytes, weights_format: str) -> bool:
    """Detect a pickle by name or by its first two bytes: the PROTO opcode and a version from 2 to 5.

    A safetensors file may begin with the same bytes, its header's length, but its reader never unpickles.
    """
    suffix = Path(name).suffix.lower()
    if weights_format == "onnx":
        return False  # raw numbers next to a graph, under any name, which nothing unpickles
    by_name = suffix in PICKLES and not (suffix == ".pt" and weights_format == "torchscript")
    by_content = len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5
    return by_name or (by_content and suffix != ".safetensors")


def start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)
