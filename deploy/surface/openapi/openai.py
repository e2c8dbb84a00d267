"""OpenAI's API: docs/openai.md says what of it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.surface.openai.models import ENDPOINTS
from deploy.surface.openapi.errors import responses
from deploy.surface.openapi.v2 import JSON, TEXTS, entry, reference

TEXT, EVENTS, FORM = "text/plain", "text/event-stream", "multipart/form-data"
STRING, NUMBER = {"type": "string"}, {"type": "number"}
COUNT = {"type": "integer", "minimum": 1}
NATURAL = {"type": "integer", "minimum": 0}
FLAG = {"type": "boolean"}
ONE_OR_MORE = {"anyOf": [{"type": "string", "minLength": 1}, {**TEXTS, "minItems": 1}]}
SAMPLING: dict[str, Any] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 10},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "seed": NATURAL,
    "stop": {"anyOf": [{"type": "string", "minLength": 1}, {**TEXTS, "maxItems": 8}]},
    "max_tokens": COUNT,
    "n": COUNT,
    "stream": FLAG,
}
MESSAGE = entry(
    ["role", "content"],
    {"role": {"enum": ["system", "developer", "user", "assistant"]}, "content": STRING},
)
TRANSCRIPTION = {
    "file": {"type": "string", "format": "binary"},
    "language": STRING,
    "response_format": {"enum": ["json", "text", "srt", "vtt", "verbose_json"]},
    "timestamp_granularities": {"enum": ["word", "segment"]},
    "stream": FLAG,
}
REASON = {"enum": ["stop", "length", None]}
USAGE = entry(
    ["prompt_tokens", "total_tokens"],
    {"prompt_tokens": NATURAL, "completion_tokens": NATURAL, "total_tokens": NATURAL},
)


def listed(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def answer(kind: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """own: of a choice."""
    one = entry(["index", "finish_reason", *own], {"index": NATURAL, "finish_reason": REASON, **own})
    fields = {"id": STRING, "object": {"const": kind}, "created": NATURAL, "model": STRING}
    return entry([*fields, "choices", "usage"], {**fields, "choices": listed(one), "usage": USAGE})


MODEL = entry(
    ["id", "object", "created", "owned_by"],
    {
        **{"id": STRING, "object": {"const": "model"}, "created": NATURAL, "owned_by": STRING, "task": STRING},
        **{"endpoints": TEXTS, "name": STRING, "ready": FLAG},
    },
)
SCHEMAS: dict[str, Any] = {
    "OpenAIError": entry(
        ["error"],
        {
            "error": entry(
                ["message", "type", "param", "code"],
                {
                    **{"message": STRING, "type": STRING, "param": {"type": ["string", "null"]}},
                    "code": {"type": "integer", "minimum": 400, "maximum": 599},
                },
                closed=True,
            )
        },
        closed=True,
    ),
    "OpenAIModel": MODEL,
    "OpenAIModels": entry(
        ["object", "data", "models"], {"object": {"const": "list"}, "data": listed(MODEL), "models": TEXTS}
    ),
    "ChatCompletion": answer("chat.completion", {"message": entry(["role", "content"], {"content": STRING})}),
    "Completion": answer("text_completion", {"text": STRING}),
    "Embeddings": entry(
        ["object", "data", "model", "usage"],
        {
            "data": listed(
                entry(["object", "index", "embedding"], {"embedding": {"anyOf": [{**listed(NUMBER)}, STRING]}})
            ),
            **{"object": {"const": "list"}, "model": STRING, "usage": USAGE},
        },
    ),
    "Transcript": entry(["text"], {"text": STRING}),
}
BODIES: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "/v1/chat/completions": (
        ["messages"],
        {"messages": {**listed(MESSAGE), "minItems": 1}, **SAMPLING},
        "ChatCompletion",
    ),
    "/v1/completions": (["prompt"], {"prompt": ONE_OR_MORE, **SAMPLING}, "Completion"),
    "/v1/embeddings": (
        ["input"],
        {"input": ONE_OR_MORE, "encoding_format": {"enum": ["float", "base64"]}},
        "Embeddings",
    ),
    "/v1/audio/transcriptions": (["file"], TRANSCRIPTION, "Transcript"),
}


def paths(tasks: Mapping[str, str]) -> dict[str, Any]:
    """Those that a model answers, and the lists. tasks: of the models, by name."""
    found: dict[str, Any] = {
        "/v1/models": {"get": call("list_models", "All models", [], reference("OpenAIModels"))},
    }
    for path, (required, fields, schema) in BODIES.items():
        names = [name for name, task in tasks.items() if path in ENDPOINTS.get(task, ())]
        if not names:
            continue
        body = entry(["model", *required], {"model": {"enum": names}, **fields})
        kind = FORM if "file" in fields else JSON
        made = call(path.removeprefix("/v1/").replace("/", "_"), "By OpenAI's API", names, reference(schema))
        made["responses"]["200"]["content"] |= {EVENTS: {}, **({TEXT: {}, "text/vtt": {}} if kind == FORM else {})}
        found[path] = {"post": {**made, "requestBody": {"required": True, "content": {kind: {"schema": body}}}}}
    return found


def call(identifier: str, summary: str, tags: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    answers = {"200": {"description": "The answer.", "content": {JSON: {"schema": schema}}}, **responses("OpenAIError")}
    return {"operationId": f"openai_{identifier}", "tags": ["OpenAI", *tags], "summary": summary, "responses": answers}
