"""The whole description, of all models or of one."""

from __future__ import annotations

from typing import Any

from client.explanations import explainer_of
from deploy.surface.models import Models
from deploy.surface.openapi import model, openai, v2
from deploy.surface.openapi.errors import ERROR

ABOUT = (
    "Models that take an input and answer it. A request may hold a file, a form or JSON; each path lists what its "
    "model takes. Errors have one form, {code, type, message}, and on KServe's and OpenAI's paths their own."
)


def document(models: Models, only: str = "") -> dict[str, Any]:
    """only: the name of the one model; all of them where it is empty. Raises NotFound."""
    names = [models.find(only).name] if only else models.names()
    served = {status.name for status in models.status.models}
    paths: dict[str, Any] = {} if only else v2.of_server()
    schemas: dict[str, Any] = {"Error": ERROR, **v2.SCHEMAS, **openai.SCHEMAS}
    tasks: dict[str, str] = {}
    for name in names:
        found = models.known(models.find(name))
        if found is None or not found.archive.card:  # one that only its own handler knows
            continue
        archive = found.archive
        paths |= model.paths(archive, found.sample, explainer_of(name) in served)
        schemas |= model.schemas(archive)
        tasks[name] = archive.task
    if not only:
        paths |= openai.paths(tasks)
    version = models.find(only).version if only else "1.0"
    return {
        "openapi": "3.1.0",
        "info": {"title": only or "Models", "version": version, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
