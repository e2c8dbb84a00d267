"""One model: its predictions, over the project's own path and KServe's, and its explanations."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from deploy.archive import Archive
from deploy.surface.openapi import v2
from deploy.surface.openapi.errors import responses
from deploy.surface.openapi.parameters import properties

JSON, FORM, PNG = "application/json", "multipart/form-data", "image/png"
NUMBERS = {"type": "array", "description": "numbers, nested as deep as the input has dimensions"}


def paths(archive: Archive, sample: tuple[str, bytes], explained: bool) -> dict[str, Any]:
    """sample: its suffix and bytes. explained: whether its explanations are served."""
    card, name = archive.card, archive.name
    answer = {media: {"schema": answer_schema(name, media)} for media in card["input"]["accept"]}
    predict = {
        "operationId": f"predict_{identifier(name)}",
        "tags": [name],
        "summary": f"Ask {name}: {card['task']}",
        "requestBody": {"required": True, "content": bodies(archive, sample)},
        "responses": {"200": {"description": "The model's answer.", "content": answer}, **responses("Error")},
    }
    found = {f"/predictions/{name}": {"post": predict}, **v2.paths(name, identifier(name))}
    if explained:
        offered = card["explain"]
        explain = {
            **predict,
            "operationId": f"explain_{identifier(name)}",
            "summary": f"Why {name} answers so",
            "description": json.dumps(offered.get("parameters", {}), ensure_ascii=False),
            "responses": {
                "200": {"description": "The explanation.", "content": {media: {} for media in (JSON, PNG)}},
                "307": {"description": "The workers of explanations have a path of their own."},
                **responses("Error"),
            },
        }
        found[f"/explanations/{name}"] = {"post": explain}
    return found


def identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def answer_schema(name: str, media: str) -> dict[str, Any]:
    if media == JSON:
        return {"$ref": f"#/components/schemas/{name}.Answer"}
    return {"type": "string"} if media.startswith(("text/", "application/x-ndjson")) else {}


def bodies(archive: Archive, sample: tuple[str, bytes]) -> dict[str, Any]:
    """The request's content by its type, with the sample as an example."""
    card, (suffix, data) = archive.card, sample
    name, field = archive.name, card["input"]["field"]
    found: dict[str, Any] = {}
    for content_type in card["input"]["content_types"]:
        if content_type == JSON:
            found[JSON] = {"schema": {"$ref": f"#/components/schemas/{name}.Request"}}
        else:
            found[content_type] = {"schema": {"type": "string"} if content_type.startswith("text/") else {}}
    fields = {field: found.get("text/plain", {}).get("schema", {}), **properties(card["input"]["parameters"])}
    found[FORM] = {"schema": {"type": "object", "required": [field], "properties": fields}}
    if not data:
        return found
    if suffix == ".json":
        found[JSON]["example"] = json.loads(data)
    elif suffix == ".txt":
        found["text/plain"]["example"] = data.decode()
        found[JSON]["example"] = {field: data.decode()}
    else:
        found[JSON]["example"] = {field: base64.b64encode(data).decode()}
    return found


def schemas(archive: Archive) -> dict[str, Any]:
    """The model's components: what it takes as JSON, and its answers."""
    card, name = archive.card, archive.name
    own = properties(card["input"]["parameters"])
    field, data = card["input"]["field"], data_schema(card)
    named: dict[str, Any] = {"type": "object", "required": [field], "properties": {field: data, **own}}
    nested = {"parameters": {"type": "object", "properties": own}}
    several = {"instances": {"type": "array", "minItems": 1, "items": {"anyOf": [named, data]}}}
    request = {
        "anyOf": [
            {**named, "properties": {**named["properties"], **nested}},
            {"type": "object", "required": ["instances"], "properties": {**several, **nested}},
            data,
        ]
    }
    return {f"{name}.Request": request, **renamed(card.get("answer_schema") or {}, name)}


def data_schema(card: Mapping[str, Any]) -> dict[str, Any]:
    """One input in JSON."""
    types = card["input"]["content_types"]
    if "text/plain" in types:
        return {"type": "string", "minLength": 1}
    if set(types) == {JSON}:
        schema: dict[str, Any] = {"type": "number"}
        for size in reversed(card["preprocessing"].get("observation", {}).get("shape", [])):
            schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
        return schema
    return {"anyOf": [{"type": "string", "contentEncoding": "base64", "minLength": 1}, NUMBERS]}


def renamed(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A JSON Schema with definitions of its own as components that begin with the model's name."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: place(each) if key == "$ref" else moved(each) for key, each in value.items()}
        return [moved(each) for each in value] if isinstance(value, list) else value

    def place(reference: str) -> str:
        return reference.replace("#/$defs/", f"#/components/schemas/{name}.")

    whole = {key: value for key, value in schema.items() if key != "$defs"}
    parts = {f"{name}.{part}": moved(value) for part, value in schema.get("$defs", {}).items()}
    return {f"{name}.Answer": moved(whole), **parts}
