"""Models as the page shows them: their cards, and their samples as files."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from client.errors import NotFound
from client.explanations import explainer_of
from client.model_status import ModelStatus
from client.payload import BY_SUFFIX, OCTETS
from deploy.edge.limits import MAX_REQUEST
from deploy.errors import DeployError
from deploy.surface.metadata import is_ready
from deploy.surface.models import Known, Models
from deploy.surface.openapi.parameters import properties

PATH = re.compile(r"/cards(?:/([^/]+)(?:/versions/([^/]+))?(/sample)?)?")
SHOWN = ("labels", "answer", "answer_schema", "preprocessing", "limits", "options", "metrics")
NO_CARD: dict[str, Any] = {
    "task": "",
    "input": {"content_types": [], "field": "data", "accept": []},
    "parameters": {},
    "explain": None,
    "sample": None,
    **{key: [] if key == "labels" else {} for key in SHOWN},
}


def listing(models: Models) -> dict[str, Any]:
    """Of each model's default version, no more than a list of them shows; and where TorchServe takes gRPC."""
    found = [summary(models.find(name), models) for name in models.names()]
    return {"models": found, "grpc": models.status.server.grpc}


def card(models: Models, name: str, version: str = "") -> dict[str, Any]:
    """version: "" for the default one. Raises NotFound."""
    found = models.find(name, version)
    known = models.known(found)
    own = described(known, found, models) if known and known.archive.card else NO_CARD
    return {**own, **identity(found, models)}


def sample(models: Models, name: str, version: str = "") -> tuple[str, bytes]:
    """The media type and bytes of a sample. Raises NotFound."""
    known = models.known(models.find(name, version))
    try:
        suffix, content = known.archive.read_sample() if known else ("", b"")
    except DeployError:
        content = b""
    if not content or len(content) > MAX_REQUEST:
        raise NotFound(404, "NotFound", f"{name} has no sample that could be sent")
    return BY_SUFFIX.get(suffix, OCTETS), content


def identity(found: ModelStatus, models: Models) -> dict[str, Any]:
    versions = [model.version for model in models.versions(found.name)]
    return {"name": found.name, "version": found.version, "versions": versions, "ready": is_ready(found, models)}


def summary(found: ModelStatus, models: Models) -> dict[str, Any]:
    known = models.known(found)
    own = known.archive.card if known else {}
    return {**identity(found, models), "task": own.get("task", ""), "classes": len(own.get("labels", ()))}


def described(known: Known, found: ModelStatus, models: Models) -> dict[str, Any]:
    own = known.archive.card
    suffix, _ = known.sample
    served = explainer_of(found.name) in {model.name for model in models.status.models}
    taken = {key: own["input"][key] for key in ("content_types", "field", "accept")}
    return {
        "task": own["task"],
        "input": taken,
        "parameters": properties(own["input"]["parameters"]),
        "explain": explanations(own["explain"]) if served and own.get("explain") else None,
        "sample": {"name": f"{found.name}{suffix}", "media_type": BY_SUFFIX.get(suffix, OCTETS)} if suffix else None,
        **{key: own.get(key, NO_CARD[key]) for key in SHOWN},
    }


def explanations(offered: dict[str, Any]) -> dict[str, Any]:
    return {
        "methods": offered["methods"],
        "accept": offered["accept"],
        "parameters": properties(offered["parameters"]),
    }


def requested(path: str) -> tuple[str, str, bool] | None:
    """Model, version and whether it is its sample that a path asks for; None for somebody else's path."""
    found = PATH.fullmatch(path)
    return (unquote(found[1] or ""), unquote(found[2] or ""), bool(found[3])) if found else None
