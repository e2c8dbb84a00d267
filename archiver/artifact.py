"""The artifact folder, read: what training left for the archiver."""

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

# By the suffix of a sample, the content type it is sent with; the handlers warm up with the same.
SAMPLE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".txt": "text/plain",
    ".json": "application/json",
}

# Tasks whose answers name no class; a policy may name its actions.
UNLABELLED = {
    "policy",
    "image-embedding",
    "zero-shot-image-classification",
    "depth-estimation",
    "audio-embedding",
    "voice-activity",
    "speech-recognition",
    "text-embedding",
    "question-answering",
    "text-generation",
}

# Suffixes of files that libraries unpickle; `.pt` is let through for TorchScript alone.
PICKLES = {".pkl", ".pickle", ".pth", ".pt", ".bin", ".ckpt", ".joblib", ".dill"}


MAX_FILES = 1000  # of a folder of weights


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
    """files: what goes into an archive, by its path inside the artifact; `artifact.json` itself is not among them.

    sample: the file name of a request body to verify and warm up with.
    """

    folder: Path
    description: Description
    files: dict[str, Path]


def read(folder: Path, spec: Mapping[str, Any]) -> Artifact:
    """Read and check an artifact folder; SpecError with everything that is wrong with it.

    spec: its keys, which may hold the architecture and the labels in the artifact's place.
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
        problems.append(Problem("architecture", "missing: the safetensors format needs {factory, arguments}"))
    if description.task in TASKS.keys() - UNLABELLED and not (description.labels or spec.get("labels")):
        problems.append(Problem("labels", f"wanted a name for each class of {description.task}; got none"))
    if problems:
        raise SpecError(str(file), problems)
    return Artifact(folder, description, files)


def collect(folder: Path, description: Description) -> tuple[dict[str, Path], list[Problem]]:
    """The files of the weights and the sample, and what is wrong with them."""
    problems = []
    files = {}
    for key, name in (("weights", description.weights), ("sample", description.sample)):
        path = folder / name
        if path.is_file():
            files[name] = path
        elif path.is_dir() and key == "weights" and description.format == "huggingface":
            files |= {file.relative_to(folder).as_posix(): file for file in path.rglob("*") if file.is_file()}
            if len(files) > MAX_FILES:
                problems.append(Problem(key, f"{name!r} holds {len(files)} files; wanted {MAX_FILES} at most"))
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
            problems.append(Problem(name, "is a link that leads out of the artifact's folder"))
        elif is_pickle(name, start_of(path), description.format):
            problems.append(Problem(name, "is a pickle, which runs code when it is loaded; use safetensors"))
    if not problems:
        try:
            check(description.format, folder / description.weights, description.task)
            if description.format == "huggingface":
                check_vocabulary(folder / description.weights)
        except UnsafeFile as error:
            problems.append(Problem(description.weights, str(error)))
    return files, problems


def is_pickle(name: str, start: bytes, weights_format: str) -> bool:
    """By name, or by its first two bytes: the PROTO opcode and a version from 2 to 5.

    A safetensors file may begin so as well, with its header's length; its reader never unpickles.
    """
    suffix = Path(name).suffix.lower()
    if weights_format == "onnx":
        return False  # bare numbers beside a graph, under any name; nothing unpickles them
    by_name = suffix in PICKLES and not (suffix == ".pt" and weights_format == "torchscript")
    by_content = len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5
    return by_name or (by_content and suffix != ".safetensors")


def start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)
