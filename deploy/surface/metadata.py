"""The metadata of KServe's v2 protocol, as its HTTP side has them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from client.model_status import ModelStatus
from deploy.surface.models import Known, Models

NAME, PLATFORM = "torchserve", "pytorch_torchserve"
EXTENSIONS = ["binary_tensor_data", "parameters"]
# Of any model, its answers in JSON: handlers/protocol/open_inference/response.py.
OUTPUT = {"name": "predictions", "datatype": "BYTES", "shape": [-1]}
TEXT, JSON = "text/plain", "application/json"


def of_server() -> dict[str, Any]:
    return {"name": NAME, "version": version(NAME), "extensions": EXTENSIONS}


def of_model(models: Models, name: str, wanted: str = "") -> dict[str, Any]:
    """wanted: a version, "" for the default one. Raises NotFound."""
    found = models.find(name, wanted)
    others = [model.version for model in models.versions(name)]
    return {
        "name": name,
        "versions": [wanted] if wanted else others,
        "platform": PLATFORM,
        "inputs": inputs(models.known(found)),
        "outputs": [OUTPUT],
    }


def inputs(found: Known | None) -> list[dict[str, Any]]:
    """The tensors that a request may have; none of an archive without a model card, whose handler alone knows.

    Images and recordings may come as numbers as well, in the shapes that docs/requests.md names.
    """
    if found is None or not found.archive.card:
        return []
    card = found.archive.card
    if set(card["input"]["content_types"]) == {JSON}:
        shape = card["preprocessing"].get("observation", {}).get("shape", [-1])
        return [{"name": card["input"]["field"], "datatype": "FP32", "shape": [-1, *shape]}]
    tensors = [{"name": card["input"]["field"], "datatype": "BYTES", "shape": [-1]}]
    if "question" in card["input"]["parameters"]:
        tensors.append({"name": "question", "datatype": "BYTES", "shape": [-1]})
    return tensors


def is_ready(model: ModelStatus, models: Models) -> bool:
    return model.name in models.status.up and model.ready
