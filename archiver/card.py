"""The model card, which `GET /models/{model}?customized=true` returns and which pins the archive's files."""

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
from archiver.tasks.answer_schema import answer_schema

SCHEMA = 1


class Card(StrictModel):
    """card.json, schema 1.

    input: content types of a raw body, the field of a form or JSON object, and a request's parameters.
    answer, answer_schema: the structure of an answer for people, and as JSON Schema.
    inputs: SHA-256 of the spec and of the artifact's description as read, to detect an outdated archive.
    provenance: the SHA-256 of the experiment that made the artifact, and when.
    reference: statistics of the predictions on validation data. drift: histograms of these and of the inputs.
    backend: used on CPUs.
    device: cpu, gpu, or auto for a GPU if the server has one. workers, batch: as in the spec; "auto" leaves them to the
    server.
    explain: number of explanation workers, 0 if not requested, and the requests' parameters; empty if the model has no
    explanations. sha256: of the weights, and of all other files by group; see `digest.groups`.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=MODEL_NAME)
    version: str
    task: str = Field(pattern=OWN_TASK)
    labels: list[str]
    input: dict[str, Any]
    answer: dict[str, Any]
    answer_schema: dict[str, Any] = Field(default_factory=dict)
    preprocessing: dict[str, Any]
    limits: dict[str, Any]
    options: dict[str, Any]
    metrics: dict[str, Any]
    training: dict[str, Any]
    provenance: dict[str, Any] = Field(default_factory=dict)
    reference: dict[str, Any] = Field(default_factory=dict)
    drift: dict[str, Any] = Field(default_factory=dict)
    format: str
    backend: str
    device: Device = "auto"
    workers: int | Literal["auto"]
    batch: Batch
    explain: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, str] = Field(default_factory=dict)
    sha256: dict[str, str]
    versions: dict[str, str]


def make(package: Package, digests: dict[str, str], backend: str, histograms: dict[str, Any]) -> dict[str, Any]:
    """The card of `package`. digests: from `digest.groups`. backend: the graph's.

    histograms: from `drift.reference`.
    """
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
        "answer_schema": answer_schema(package.task),
        "preprocessing": package.preprocessing,
        "limits": package.limits,
        "options": package.options,
        "metrics": description.metrics,
        "training": description.training,
        "provenance": {key: value for key, value in description.provenance.items() if key != "experiment"},
        "reference": description.reference,
        "drift": histograms,
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
