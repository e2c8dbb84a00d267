"""Calls of embeddings as requests of text embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, shown
from handlers.protocol.kserve import within_limit
from handlers.protocol.limits import Limits
from handlers.protocol.openai.call import Call
from handlers.protocol.openai.fields import check, model_of
from handlers.protocol.payload import Parameters, Payload, Request

FORMS = ("float", "base64")


def from_object(value: Mapping[str, Any], path: str, limits: Limits) -> Request:
    fields = check(value, ("input", "encoding_format", "dimensions"), path)
    form = fields.get("encoding_format", FORMS[0])
    if form not in FORMS:
        raise InvalidInput(f"encoding_format: got {shown(form)}, wanted {' or '.join(FORMS)}")
    if "dimensions" in fields:
        raise InvalidInput("dimensions: a model's vectors have the length they have; leave it out")
    sent = fields.get("input")
    texts = [sent] if isinstance(sent, str) else sent
    if not isinstance(texts, list) or not texts:
        raise MalformedInput(f"input: got {shown(sent)}, wanted a text, or a list of texts")
    if not all(isinstance(text, str) for text in texts):
        raise InvalidInput(
            "input: tokens are not taken, since each model has its own; wanted a text, or a list of texts (LangChain: "
            "check_embedding_ctx_length=False)"
        )
    payloads = [Payload(text, "text/plain", Parameters()) for text in within_limit(texts, limits.max_instances)]
    call = Call(path, model_of(fields), form=form)
    return Request(payloads, dialect="openai", list_name="input" if isinstance(sent, list) else "", call=call)
