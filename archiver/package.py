"""A package: a spec and its artifact, checked against each other, with everything to pack."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from archiver.artifact import DESCRIPTION, Artifact
from archiver.artifact import read as read_artifact
from archiver.config import StrictModel
from archiver.digest import sha256
from archiver.errors import Problem, SpecError, nearest, problems_of, unknown_keys
from archiver.explanations.tasks import Explanation, explanation_of
from archiver.reading import read_json, read_text
from archiver.spec import Architecture, Spec
from archiver.spec import read as read_spec
from archiver.tasks import TASKS, task_of
from archiver.tasks.consistency import problems_beyond_limits, problems_of_explain
from handlers.formats.architecture import check as check_architecture
from handlers.formats.errors import UnsafeFile
from handlers.formats.preprocessing.form import faults_of

# Reserved names at an archive's root.
TAKEN = {"handlers", "entry", "artifact", "ts"}

Device = Literal["auto", "cpu", "gpu"]
# Their networks have a few small layers, or many sequential steps: launching GPU kernels takes longer than computing on
# a core, and a CUDA context takes a few hundred MiB of GPU memory.
FOR_CPU = {"policy", "voice-activity"}
SMALL = 8 << 20  # bytes of weights; policies on images can have more


@dataclass(frozen=True)
class Package:
    """file_name: the archive's without suffix; the spec's file name, so that two versions of a model can share a store.

    code: python files to pack at the archive's root, by their path there. inputs: SHA-256 of the spec and of the
    artifact's description. device: of the workers; "auto" is a GPU if the server has one. drift: path of the validation
    data's inputs.
    """

    file_name: str
    spec: Spec
    artifact: Artifact
    task: str
    labels: list[str]
    architecture: Architecture | None
    preprocessing: dict[str, Any]
    limits: dict[str, Any]
    options: dict[str, Any]
    handler: str
    code: dict[str, Path]
    inputs: dict[str, str]
    device: Device
    explanation: Explanation | None
    drift: Path | None


def resolve(path: Path, artifacts: Path) -> Package:
    """Read the spec at `path` and its artifact. Raises SpecError with all problems of both."""
    values = read_spec(path)
    problems: list[Problem] = []
    spec: Spec | None = None
    artifact: Artifact | None = None
    try:
        spec = Spec.model_validate(values)
    except ValidationError as error:
        problems += problems_of(error, Spec)
    name = values.get("artifact") or values["name"]
    if isinstance(name, str):
        artifact = attempt(lambda: find_artifact(name, path, artifacts, values), problems)
    declared = values.get("task")
    task = artifact.description.task if artifact else declared if isinstance(declared, str) else None
    settings: dict[str, dict[str, Any]] = {"limits": {}, "options": {}}
    if task:
        for key, section in (("limits", task_of(task).limits), ("options", task_of(task).options)):
            # A user's own class may have more options, and for its own task only it knows them.
            free = values.get("handler") is not None and (key == "options" or task not in TASKS)
            settings[key] = read_section(values.get(key) or {}, section, key, free, problems)
    problems += problems_beyond_limits(values.get("options"), settings["limits"])
    if task and task not in TASKS and values.get("handler") is None:
        known = f"{nearest(task, list(TASKS))}; your own task needs a `handler`"
        problems.append(Problem("task", f"{task!r} is not one of the project's{known}"))
    if artifact and isinstance(declared, str) and declared != task:
        problems.append(Problem("task", f"{declared!r} in the spec; the artifact {artifact.folder} is for {task!r}"))
    for key in ("limits", "options", "preprocessing"):
        try:
            json.dumps(values.get(key), allow_nan=False)
        except (TypeError, ValueError) as error:
            problems.append(Problem(key, f"contains a value that JSON does not support: {error}"))
    labels = read_labels(values.get("labels"), path, artifact, problems)
    own = values.get("handler") is not None
    preprocessing = merge_preprocessing(values.get("preprocessing"), artifact, own, problems)
    if artifact and task and not own:
        found = faults_of(task, artifact.description.format, preprocessing, labels)
        problems += [Problem(where, what) for where, what in found]
    code = collect_code(values.get("code"), path, problems)
    architecture = (spec.architecture if spec else None) or (artifact.description.architecture if artifact else None)
    if architecture:
        try:
            modules = {name.partition("/")[0].removesuffix(".py") for name in code}
            check_architecture(architecture.model_dump(), modules)
        except UnsafeFile as error:
            problems.append(Problem("architecture", str(error)))
    handler = values.get("handler")
    if isinstance(handler, str) and not ships(handler, code):
        problems.append(Problem("handler", f"{handler!r} is in none of the files named in `code`"))
    explanation = explanation_of(task or "", handler is not None)
    problems += problems_of_explain(spec, explanation)
    if problems or spec is None or artifact is None or task is None:
        raise SpecError(str(path), problems)
    return Package(
        file_name=path.stem,
        spec=spec,
        artifact=artifact,
        task=task,
        labels=labels,
        architecture=architecture,
        preprocessing=preprocessing,
        limits=settings["limits"],
        options=settings["options"],
        handler=spec.handler or task_of(task).handler,
        code=code,
        inputs={"spec": sha256(path), "artifact": sha256(artifact.folder / DESCRIPTION)},
        device=choose_device(spec.device, task, artifact),
        explanation=explanation,
        drift=path.parent / spec.drift if spec.drift else None,
    )


def choose_device(asked: Device, task: str, artifact: Artifact) -> Device:
    """`asked`, or "cpu" for a model that a GPU would not speed up; "auto" is a GPU if the server has one."""
    description = artifact.description
    if asked != "auto":
        return asked
    if description.format == "onnx":  # the server has ONNX Runtime for CPUs
        return "cpu"
    weights = [path for name, path in artifact.files.items() if name.split("/")[0] == description.weights]
    small = sum(path.stat().st_size for path in weights) <= SMALL
    return "cpu" if task in FOR_CPU and small else "auto"


def attempt(read: Callable[[], Artifact], problems: list[Problem]) -> Artifact | None:
    """The artifact, or None after adding its problems."""
    try:
        return read()
    except SpecError as error:
        problems += [Problem(f"artifact: {error.subject}: {problem.where}", problem.what) for problem in error.problems]
        return None


def find_artifact(name: str, spec: Path, artifacts: Path, values: dict[str, Any]) -> Artifact:
    # The user's own artifacts take precedence over the demo's, which are part of the checkout.
    for folder in (artifacts / name, artifacts / "demo" / name, spec.parent / name):
        if (folder / "artifact.json").is_file():
            return read_artifact(folder, values)
    raise SpecError(
        name, [Problem("not found", f"{artifacts / name} does not exist; create it with `python -m train {name}`")]
    )


def read_section(
    values: Any, section: type[StrictModel], key: str, free: bool, problems: list[Problem]
) -> dict[str, Any]:
    """The checked values with defaults. free: pass on unknown keys unchanged."""
    if not isinstance(values, dict):
        return {}  # already reported by the spec's own check
    extra = {name: value for name, value in values.items() if free and name not in section.model_fields}
    known = {name: value for name, value in values.items() if name not in extra}
    try:
        return section.model_validate(known).model_dump(exclude_none=True) | extra
    except ValidationError as error:
        problems += problems_of(error, section, key)
        return {}


def read_labels(given: Any, spec: Path, artifact: Artifact | None, problems: list[Problem]) -> list[str]:
    """The labels from the spec's list or file, or the artifact's; their number must equal the artifact's."""
    labels = given
    if isinstance(given, str):
        file = spec.parent / given
        try:
            labels = read_json(file) if file.suffix == ".json" else read_text(file).splitlines()
        except UnsafeFile as error:
            problems.append(Problem("labels", f"{given!r} {error}"))
            return []
        if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
            problems.append(Problem("labels", f"{given!r}: wanted a name on each line, or a JSON list of strings"))
            return []
    trained = artifact.description.labels if artifact else []
    if not isinstance(labels, list):
        return trained
    if trained and len(labels) != len(trained):
        problems.append(Problem("labels", f"wanted {len(trained)}, as many as the artifact has; got {len(labels)}"))
    return labels


def merge_preprocessing(
    given: Any, artifact: Artifact | None, own_handler: bool, problems: list[Problem]
) -> dict[str, Any]:
    """The artifact's keys, and the spec's over them. For a handler of one's own only those can be told from typos."""
    trained = artifact.description.preprocessing if artifact else {}
    if not isinstance(given, dict) or artifact is None:
        return trained
    if trained and own_handler:
        problems += unknown_keys(given, list(trained), "preprocessing")
    return {**trained, **given}


def collect_code(given: Any, spec: Path, problems: list[Problem]) -> dict[str, Path]:
    """The Python files of `code` by their path in the archive: `x.py` and packages go to its root."""
    code: dict[str, Path] = {}
    entries = given if isinstance(given, list) and all(isinstance(entry, str) for entry in given) else []
    # Modules at an archive's root shadow installed ones: a datasets.py would break every library that imports the real
    # one.
    installed = TAKEN | set(sys.stdlib_module_names) | set(packages_distributions()) if entries else set()
    for index, entry in enumerate(entries):
        where, path = f"code[{index}]", (spec.parent / entry).resolve()
        if path.stem in installed:
            problems.append(Problem(where, f"the name {path.stem!r} is taken by an installed or packed module"))
        elif path.suffix == ".py" and path.is_file():
            code[path.name] = path
        elif (path / "__init__.py").is_file():
            code |= {f"{path.name}/{name}": file for name, file in python_files(path).items()}
        else:
            problems.append(Problem(where, f"wanted a .py file or a package with __init__.py; got {entry!r}"))
    return code


def python_files(folder: Path) -> dict[str, Path]:
    """A package's modules by relative path, without caches and tests."""
    files = {path.relative_to(folder): path for path in folder.rglob("*.py") if path.is_file()}
    return {name.as_posix(): path for name, path in files.items() if not {"__pycache__", "tests"} & set(name.parts)}


def ships(handler: str, code: dict[str, Path]) -> bool:
    module = handler.rpartition(".")[0].replace(".", "/")
    return f"{module}.py" in code or f"{module}/__init__.py" in code
