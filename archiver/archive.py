"""A package as the files of an archive, and the archive in its store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from model_archiver.manifest_components.manifest import Manifest
from model_archiver.manifest_components.model import Model

from archiver import card, graph, mar
from archiver.artifact import DESCRIPTION
from archiver.digest import groups, sha256
from archiver.errors import Problem, SpecError, VerificationError
from archiver.package import Package, python_files

ENTRY = "entry.py"
CREATED = "01/01/1980 00:00:00"
# For a server without settings of its own: any machine can work with these. TorchServe takes a delay of 0 in an
# archive for its own default, 100 ms; `deploy` registers the archive with its own.
BATCH_SIZE = 4
BATCH_DELAY = 1


@dataclass(frozen=True)
class Archive:
    """size: bytes. sha256: of the whole file. backend: what computes the model on a CPU. reason: why not a graph."""

    path: Path
    size: int
    sha256: str
    backend: str
    reason: str


def build(package: Package, handlers: Path, store: Path, check: Callable[[Path], None] | None = None) -> Archive:
    """Write `store`/<spec's file name>.mar and return it; an archive of that name stays until the new one is whole.

    handlers: the folder to pack. check: called with the finished archive before it takes its place in the store.

    Raises SpecError when the handler is not in `handlers`, and what `check` raises.
    """
    content, found = members(package, handlers)
    store.mkdir(parents=True, exist_ok=True)
    path = store / f"{package.file_name}.mar"
    # Hidden, so that a server told to load all of its store does not take it for a model.
    partial = store / f".{path.name}.partial"
    try:
        mar.write(partial, content)
        if check:
            try:
                check(partial)
            except VerificationError as error:
                raise VerificationError(str(path), error.problems) from None
        digest = sha256(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Archive(path, path.stat().st_size, digest, found.backend, found.reason)


def members(package: Package, handlers: Path) -> tuple[dict[str, bytes | Path], graph.Graph]:
    """The archive's files, by name, and its graph; the model card comes last, as it holds the digests of the others."""
    modules = python_files(handlers) if (handlers / ENTRY).is_file() else {}
    module, _, _ = package.handler.partition(".")[2].rpartition(".")
    if package.spec.handler is None and f"{module.replace('.', '/')}.py" not in modules:
        raise SpecError(str(handlers), [Problem(package.handler, f"is not there, or there is no {ENTRY}")])
    content: dict[str, bytes | Path] = {
        ENTRY: handlers / ENTRY,
        mar.MANIFEST: to_json(manifest(package)),
        mar.CONFIGURATION: to_yaml(configuration(package)),
        f"artifact/{DESCRIPTION}": to_json(description(package)),
        **{f"artifact/{name}": path for name, path in package.artifact.files.items()},
        **{f"handlers/{name}": path for name, path in modules.items()},
        **package.code,
    }
    found = graph.write(package, content)
    if found.data is not None:
        content[graph.MEMBER] = found.data
    digests = {name: sha256(value) for name, value in content.items()}
    weights = f"artifact/{package.artifact.description.weights}"
    content[mar.CARD] = to_json(card.make(package, groups(digests, weights), found.backend))
    return content, found


def manifest(package: Package) -> dict[str, Any]:
    """TorchServe's manifest, as its own archiver writes it, but for the time, which would make every build differ."""
    spec = package.spec
    model = Model(spec.name, None, ENTRY, model_version=spec.version, config_file=mar.CONFIGURATION)
    return {**Manifest("python", model).manifest_dict, "createdOn": CREATED}


def configuration(package: Package) -> dict[str, Any]:
    """model-config.yaml: TorchServe's own keys, and one block for the handler."""
    spec = package.spec
    workers = 1 if spec.workers == "auto" else spec.workers  # the server adds to them once it sees the machine
    return {
        # Both: TorchServe ignores minWorkers where maxWorkers is missing.
        "minWorkers": workers,
        "maxWorkers": workers,
        "batchSize": BATCH_SIZE if spec.batch.size == "auto" else spec.batch.size,
        "maxBatchDelay": BATCH_DELAY if spec.batch.delay_ms == "auto" else max(BATCH_DELAY, spec.batch.delay_ms),
        **({} if package.device == "auto" else {"deviceType": package.device}),  # else the server's
        **({} if spec.queue == "auto" else {"jobQueueSize": spec.queue}),  # else the server's own, by its memory
        "responseTimeout": spec.timeouts.response_s,
        "startupTimeout": spec.timeouts.startup_s,
        "handler": {
            "class": package.handler,
            "threads": spec.threads,
            "request_s": spec.timeouts.seconds,
            **({"profile": True} if spec.profile else {}),
            "limits": package.limits,
            "options": package.options,
            **({"explain": explain(package)} if package.explanation else {}),
        },
    }


def explain(package: Package) -> dict[str, Any]:
    """For the workers of explanations: their class, and a request's limits."""
    settings = package.spec.explanations.model_dump(exclude={"workers"})
    return {"class": package.explanation.explainer if package.explanation else "", **settings}


def description(package: Package) -> dict[str, Any]:
    """The artifact's own description, with the spec's differences in it: the handler reads one file."""
    # An experiment names folders of the machine it ran on: it stays with the artifact.
    values = package.artifact.description.model_dump(by_alias=True, exclude={"provenance"})
    architecture = package.architecture.model_dump() if package.architecture else None
    return {**values, "architecture": architecture, "labels": package.labels, "preprocessing": package.preprocessing}


def to_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def to_yaml(value: dict[str, Any]) -> bytes:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text.encode()
