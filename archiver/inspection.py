"""Checks an archive without running it: its structure, its manifest, and the digest of every file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from archiver.artifact import DESCRIPTION, Description, is_pickle
from archiver.card import Card
from archiver.config import StrictModel
from archiver.digest import groups
from archiver.errors import Problem, VerificationError, problems_of
from archiver.mar import CARD, CONFIGURATION, MANIFEST, Mar
from archiver.spec import DOTTED_NAME, MODEL_NAME
from archiver.tasks import TASKS
from handlers.formats.architecture import check as check_architecture
from handlers.formats.errors import UnsafeFile
from handlers.formats.onnx import check as check_graph
from handlers.formats.weights import check as check_weights
from handlers.formats.zip_file import ERRORS, reason

ModelType = TypeVar("ModelType", bound=StrictModel)


class ManifestModel(StrictModel):
    name: str = Field(alias="modelName", pattern=MODEL_NAME)
    version: str = Field(alias="modelVersion", pattern=r"^\d+(\.\d+)*$")
    handler: Literal["entry.py"]
    configuration: Literal["model-config.yaml"] = Field(alias="configFile")


class Manifest(StrictModel):
    """The keys that TorchServe 0.12 reads and this archiver writes."""

    created_on: str = Field(alias="createdOn")
    runtime: Literal["python"]
    model: ManifestModel
    archiver_version: str = Field(alias="archiverVersion")


class HandlerConfiguration(StrictModel):
    class_: str = Field(alias="class", pattern=DOTTED_NAME)
    threads: Annotated[int, Field(ge=0)] | Literal["auto"]
    request_s: float | None = Field(default=None, gt=0)  # missing in older archives
    profile: bool = False
    limits: dict[str, Any]
    options: dict[str, Any]
    explain: dict[str, Any] | None = None


class Configuration(StrictModel):
    """model-config.yaml. TorchServe replaces an integer of another type, or a delay of 0, by its own default."""

    min_workers: int = Field(alias="minWorkers", ge=1)
    max_workers: int = Field(alias="maxWorkers", ge=1)
    batch_size: int = Field(alias="batchSize", ge=1)
    max_batch_delay: int = Field(alias="maxBatchDelay", ge=1)
    device: Literal["cpu", "gpu"] | None = Field(default=None, alias="deviceType")  # if missing, the server's default
    queue_size: int | None = Field(default=None, alias="jobQueueSize", ge=1)
    response_timeout: int = Field(alias="responseTimeout", ge=1)
    startup_timeout: int = Field(alias="startupTimeout", ge=1)
    handler: HandlerConfiguration


@dataclass(frozen=True)
class Contents:
    """An archive's own files, read and checked for consistency."""

    manifest: Manifest
    configuration: Configuration
    card: Card
    artifact: Description


def inspect(mar: Mar) -> Contents:
    """Read and check a whole archive. Raises VerificationError with all problems."""
    problems: list[Problem] = []
    manifest = read(mar, MANIFEST, Manifest, problems)
    configuration = read(mar, CONFIGURATION, Configuration, problems)
    card = read(mar, CARD, Card, problems)
    artifact = read(mar, f"artifact/{DESCRIPTION}", Description, problems)
    if "entry.py" not in mar.names:
        problems.append(Problem("entry.py", "missing"))
    if manifest is None or configuration is None or card is None or artifact is None or problems:
        raise VerificationError(str(mar.path), problems)
    problems += [
        Problem(CARD, f"{name} is {ours!r}; in {file} it is {theirs!r}")
        for name, ours, file, theirs in (
            ("name", card.name, MANIFEST, manifest.model.name),
            ("version", card.version, MANIFEST, manifest.model.version),
            ("task", card.task, f"artifact/{DESCRIPTION}", artifact.task),
            ("labels", card.labels, f"artifact/{DESCRIPTION}", artifact.labels),
            ("preprocessing", card.preprocessing, f"artifact/{DESCRIPTION}", artifact.preprocessing),
        )
        if ours != theirs
    ]
    problems += problems_of_settings(configuration.handler, artifact.task)
    found = groups(mar.digests(), f"artifact/{artifact.weights}")
    problems += [
        Problem(name, f"SHA-256 is {found.get(name)}; the model card says {digest}")
        for name, digest in card.sha256.items()
        if found.get(name) != digest
    ]
    problems += [Problem(name, "no SHA-256 in the model card") for name in sorted(found.keys() - card.sha256.keys())]
    problems += pickles(mar, artifact)
    if problems:
        raise VerificationError(str(mar.path), problems)
    return Contents(manifest, configuration, card, artifact)


def problems_of_settings(handler: HandlerConfiguration, task: str) -> list[Problem]:
    """Problems of the values of limits and options of the project's own handlers, which a spec's are checked for too.

    Other versions of the project may have other keys, so neither unknown nor missing ones are problems.
    """
    if task not in TASKS or not handler.class_.startswith("handlers."):
        return []
    problems = []
    sections = (("limits", TASKS[task].limits, handler.limits), ("options", TASKS[task].options, handler.options))
    for key, section, given in sections:
        try:
            section.model_validate({name: value for name, value in given.items() if name in section.model_fields})
        except ValidationError as error:
            problems += problems_of(error, section, f"{CONFIGURATION}: handler.{key}")
    return problems


def read(mar: Mar, name: str, model: type[ModelType], problems: list[Problem]) -> ModelType | None:
    if name not in mar.names:
        problems.append(Problem(name, "missing"))
        return None
    try:
        return model.model_validate(mar.mapping(name))
    except ValidationError as error:
        problems += [Problem(f"{name}: {problem.where}", problem.what) for problem in problems_of(error, model)]
    except VerificationError as error:
        problems += error.problems
    return None


def pickles(mar: Mar, artifact: Description) -> list[Problem]:
    """Problems for files that would be unpickled."""
    problems = []
    for name in mar.names:
        try:
            with mar.zip.open(name) as file:
                start = file.read(2)
        except ERRORS as error:
            problems.append(Problem(name, reason(error)))
            continue
        if is_pickle(name, start, artifact.format):
            problems.append(Problem(name, "is a pickle, which runs code when loaded"))
    return problems


def inspect_weights(folder: Path, contents: Contents) -> list[Problem]:
    """Problems of an unpacked archive's weights, found before anything loads them."""
    artifact, problems = contents.artifact, []
    weights, graph = folder / "artifact" / artifact.weights, folder / "artifact" / "graph.onnx"
    code = {path.stem for path in folder.iterdir()}
    try:
        check_weights(artifact.format, weights, artifact.task)
    except UnsafeFile as error:
        problems.append(Problem(f"artifact/{artifact.weights}", str(error)))
    try:
        if graph.exists():
            check_graph(graph)
    except UnsafeFile as error:
        problems.append(Problem("artifact/graph.onnx", str(error)))
    try:
        if artifact.architecture:
            check_architecture(artifact.architecture.model_dump(), code)
    except UnsafeFile as error:
        problems.append(Problem("architecture", str(error)))
    return problems
