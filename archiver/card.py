"""The model card: what `GET /models/{model}?customized=true` returns, and what archived files are checked against."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from archiver import __version__
from archiver.config import StrictModel
from archiver.package import Device, Package
from archiver.spec import MODEL_NAME, Batch
from archiver.tasks import OWN_TASK, task_of

SCHEMA = 1


class Card(StrictModel):
    """card.json, schema 1.

    input: content types of a raw body, the field of a form or JSON object, and what a request can set.
    inputs: SHA-256 of the spec and of the artifact's description, as they were read: whether an archive is of today's.
    provenance: the SHA-256 of the experiment that made the artifact, and when.
    reference: statistics of the predictions on validation data. backend: what computes the model on a CPU.
    device: cpu, gpu or auto, which is a GPU where the server has one. workers, batch: as the spec asks for them; "auto"
    leaves them to the machine that serves.
    explain: workers of its explanations, 0 where they are not asked for, and what a request can ask them; empty where
    the model has none.
    sha256: of the weights and, by group, of every other file in the archive: see digest.groups.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=MODEL_NAME)
    version: str
    task: str = Field(pattern=OWN_TASK)
    labels: list[str]
    input: dict[str, Any]
    answer: dict[str, Any]
    preprocessing: dict[str, Any]
    limits: dict[str, Any]
    options: dict[str, Any]
    metrics: dict[str, Any]
    training: dict[str, Any]
    provenance: dict[str, Any] = Field(default_factory=dict)
    reference: dict[str, Any] = Field(default_factory=dict)
    format: str
    backend: str
    device: Device = "auto"
    workers: int | Literal["auto"]
    batch: Batch
    explain: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, str] = Field(default_factory=dict)
    sha256: dict[str, str]
    versions: dict[str, str]


def make(package: Package, digests: dict[str, str], backend: str) -> dict[str, Any]:
    """The card of `package`. digests: by group, as digest.groups gives them. backend: as the graph has it."""
    task = task_of(package.task)
    description = package.artifact.description
    return {
        "schema": SCHEMA,
        "name": package.spec.name,
        "version": package.spec.version,
        "task": package.task,
        "labels": package.labels,
        "input": {
            "content_types": list(task.content_types),
            "field": task.field,
            "accept": list(task.accept),
            "parameters": task.parameters,
        },
        "answer": task.answer,
        "preprocessing": package.preprocessing,
        "limits": package.limits,
        "options": package.options,
        "metrics": description.metrics,
        "training": description.training,
        "provenance": {key: value for key, value in description.provenance.items() if key != "experiment"},
        "reference": description.reference,
        "format": description.format,
        "backend": backend,
        "device": package.device,
        "workers": package.spec.workers,
        "batch": package.spec.batch.model_dump(),
        "explain": explain(package),
        "inputs": package.inputs,
        "sha256": digests,
        "versions": {**description.versions, "archiver": __version__},
    }


def explain(package: Package) -> dict[str, Any]:
    found = package.explanation
    if found is None:
        return {}
    described = {name: value for name, value in asdict(found).items() if name != "explainer"}
    return json.loads(json.dumps({**package.spec.explanations.model_dump(), **described}))
