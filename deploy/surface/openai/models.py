"""The list of models: OpenAI's and KServe v1's are at one path, so the answer has the fields of both."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from client.model_status import ModelStatus
from deploy.surface.metadata import is_ready
from deploy.surface.models import Models

PATH = re.compile(r"/v1/models(?:/([^/:]*))?/?")
OWNER = "local"
# By task, the paths that a model answers; handlers/protocol/openai/call.py.
ENDPOINTS = {
    "text-generation": ["/v1/chat/completions", "/v1/completions"],
    "text-embedding": ["/v1/embeddings"],
    "speech-recognition": ["/v1/audio/transcriptions"],
}


def reply_to(path: str, models: Models) -> dict[str, Any] | None:
    """None for another path. Raises NotFound."""
    found = PATH.fullmatch(path)
    if found is None:
        return None
    if found[1]:
        model = models.find(unquote(found[1]))
        return {**entry(model, models), "name": model.name, "ready": is_ready(model, models)}
    names = models.names()
    return {"object": "list", "data": [entry(models.find(name), models) for name in names], "models": names}


def entry(model: ModelStatus, models: Models) -> dict[str, Any]:
    """created: when the archive was, in seconds since 1970; 0 where its file has gone."""
    found = models.known(model)
    task = found.archive.task if found else ""
    return {
        "id": model.name,
        "object": "model",
        "created": int(found.archive.path.stat().st_mtime) if found else 0,
        "owned_by": OWNER,
        "task": task,
        "endpoints": ENDPOINTS.get(task, []),
    }
