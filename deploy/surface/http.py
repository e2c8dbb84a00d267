"""The status server's answers to GET beside its own: lists and metadata of models, OpenAPI, model cards, the page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from client.errors import ClientError
from deploy.surface import cards, metadata, page_files
from deploy.surface.models import Models
from deploy.surface.openai import errors
from deploy.surface.openai import models as openai
from deploy.surface.openapi.document import document

OPENAPI = re.compile(r"/openapi(?:/([^/]+))?\.json")
# A file that somebody has put into an archive, which a browser must not take for a page of this server's.
SAMPLE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready)?")


@dataclass(frozen=True)
class Reply:
    code: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def reply_to(target: str, models: Models) -> Reply | None:
    """The answer to GET; None for a path that is somebody else's. target: of the request, percent-encoded."""
    path = urlsplit(target).path
    try:
        return (
            of_server(path, models)
            or of_model(path, models)
            or listed(path, models)
            or described(path, models)
            or of_cards(path, models)
            or of_page(path)
        )
    except ClientError as error:
        if path.startswith("/v1"):
            return as_json(errors.form(error.code, error.type, error.message), error.code)
        if path.startswith("/v2"):
            return as_json({"error": error.message}, error.code)
        return as_json({"code": error.code, "type": error.type, "message": error.message}, error.code)


def of_server(path: str, models: Models) -> Reply | None:
    match path.removesuffix("/"):
        case "/v2":
            return as_json(metadata.of_server())
        case "/v2/health/live":
            return as_json({"live": True})
        case "/v2/health/ready":
            return as_json({"ready": models.ready}, 200 if models.ready else 503)
        case "/v2/models":
            return as_json({"models": models.names()})
    return None


def of_model(path: str, models: Models) -> Reply | None:
    found = MODEL.fullmatch(path)
    if found is None:
        return None
    name, version, asks_ready = unquote(found[1]), unquote(found[2] or ""), found[3]
    if not asks_ready:
        return as_json(metadata.of_model(models, name, version))
    ready = metadata.is_ready(models.find(name, version), models)
    return as_json({"name": name, "ready": ready}, 200 if ready else 503)


def listed(path: str, models: Models) -> Reply | None:
    found = openai.reply_to(path, models)
    return None if found is None else as_json(found)


def described(path: str, models: Models) -> Reply | None:
    found = OPENAPI.fullmatch(path)
    return as_json(document(models, unquote(found[1] or ""))) if found else None


def of_cards(path: str, models: Models) -> Reply | None:
    asked = cards.requested(path)
    if asked is None:
        return None
    name, version, asks_sample = asked
    if asks_sample:
        content_type, content = cards.sample(models, name, version)
        return Reply(200, content, content_type, SAMPLE)
    return as_json(cards.card(models, name, version) if name else cards.listing(models))


def of_page(path: str) -> Reply | None:
    if path == page_files.PREFIX.removesuffix("/"):
        return Reply(308, b"", "text/plain", {"Location": "page/"})
    found = page_files.file_of(path)
    return Reply(200, found[1], found[0], found[2]) if found else None


def as_json(value: Any, code: int = 200) -> Reply:
    return Reply(code, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
