"""Writes a package as an archive into the model store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from model_archiver.manifest_components.manifest import Manifest
from model_archiver.manifest_components.model import Model

from archiver import card, drift, graph, mar
from archiver.artifact import DESCRIPTION
from archiver.digest import groups, sha256
from archiver.errors import Problem, SpecError, VerificationError
from archiver.handler_modules import needed
from archiver.package import Package, python_files

ENTRY = "entry.py"
CREATED = "01/01/1980 00:00:00"
# Safe values for servers that set none. TorchServe reads a delay of 0 in an archive as its default, 100 ms; `deploy`
# registers archives with its own values.
BATCH_SIZE = 4
BATCH_DELAY = 1


@dataclass(frozen=True)
class Archive:
    """size: in bytes. sha256: of the whole file. backend: used on CPUs. reason: why there is no ONNX graph."""

    path: Path
    size: int
    sha256: str
    backend: str
    reason: str


def build(package: Package, handlers: Path, store: Path, check: Callable[[Path], None] | None = None) -> Archive:
    """Write `store`/<spec's file name>.mar and return it.

    An existing archive is replaced once the new one is complete.

    handlers: the folder of which the modules that it needs are packed. check: called with the finished archive before
    it is moved into the store. Raises SpecError if the handler is not in `handlers`, and whatever `check` raises.
    """
    content, found = members(package, handlers)
    store.mkdir(parents=True, exist_ok=True)
    path = store / f"{package.file_name}.mar"
    # Hidden, so that a server that loads its whole store ignores it.
    partial = store / f".{path.name}.partial"
    partial.unlink(missing_ok=True)  # of a build that was killed, or what somebody put there
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
    """The archive's files by name, and its graph. The model card is last, because it has the digests of the others."""
    modules = python_files(handlers) if (handlers / ENTRY).is_file() else {}
    module, _, _ = package.handler.partition(".")[2].rpartition(".")
    if package.spec.handler is None and f"{module.replace('.', '/')}.py" not in modules:
        raise SpecError(str(handlers), [Problem(package.handler, f"does not exist, or has no {ENTRY}")])
    if not package.code:  # which may import any of them
        factory = package.architecture.factory if package.architecture else ""
        explainer = package.explanation.explainer if package.explanation else ""
        modules = needed(modules, ["handlers.entry", package.handler, explainer, factory])
    content: dict[str, bytes | Path] = {
        ENTRY: handlers / ENTRY,
        mar.MANIFEST: to_json(manifest(package)),
        mar.CONFIGURATION: to_yaml(configuration(package)),
        f"artifact/{DESCRIPTION}": to_json(description(package)),
        **{f"artifact/{name}": path for name, path in package.artifact.files.items()},
        **{f"handlers/{name}": path for name, path in modules.items()},
        **package.code,
    }
    histograms = drift.reference(package, content)
    found = graph.write(package, content)
    if found.data is not None:
        content[graph.MEMBER] = found.data
    digests = {name: sha256(value) for name, value in content.items()}
    weights = f"artifact/{package.artifact.description.weights}"
    content[mar.CARD] = to_json(card.make(package, groups(digests, weights), found.backend, histograms))
    return content, found


def manifest(package: Package) -> dict[str, Any]:
    """The manifest as torch-model-archiver writes it, but without the time, which would make every build differ."""
    spec = package.spec
    model = Model(spec.name, None, ENTRY, model_version=spec.version, config_file=mar.CONFIGURATION)
    return {**Manifest("python", model).manifest_dict, "createdOn": CREATED}


def configuration(package: Package) -> dict[str, Any]:
    """model-config.yaml: TorchServe's keys, and a section for the handler."""
    spec = package.spec
    workers = 1 if spec.workers == "auto" else spec.workers  # the server adds workers depending on the machine
    return {
        # Both are needed: TorchServe ignores minWorkers without maxWorkers.
        "minWorkers": workers,
        "maxWorkers": workers,
        "batchSize": BATCH_SIZE if spec.batch.size == "auto" else spec.batch.size,
        "maxBatchDelay": BATCH_DELAY if spec.batch.delay_ms == "auto" else max(BATCH_DELAY, spec.batch.delay_ms),
        # Without these keys the server decides: a GPU if there is one, and a queue that fits into its memory.
        **({} if package.device == "auto" else {"deviceType": package.device}),
        **({} if spec.queue == "auto" else {"jobQueueSize": spec.queue}),
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
    """The handler's settings for explanation workers: their class and their request limits."""
    settings = package.spec.explanations.model_dump(exclude={"workers"})
    return {"class": package.explanation.explainer if package.explanation else "", **settings}


def description(package: Package) -> dict[str, Any]:
    """The artifact's description merged with the spec, so that the handler reads a single file."""
    # Excluded, because an experiment names folders of the machine it ran on.
    values = package.artifact.description.model_dump(by_alias=True, exclude={"provenance"})
    architecture = package.architecture.model_dump() if package.architecture else None
    return {**values, "architecture": architecture, "labels": package.labels, "preprocessing": package.preprocessing}


def to_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def to_yaml(value: dict[str, Any]) -> bytes:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text.encode()
