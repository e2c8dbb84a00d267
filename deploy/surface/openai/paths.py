"""Paths of OpenAI's API: the model of a call stands in its body, so something before TorchServe sends it on to it."""

from __future__ import annotations

from typing import Any

from deploy.edge.management import NAME

JSON, FORM = "json", "form"
# Below /v1/, each with the form of its body; handlers/protocol/openai/call.py has the same.
CALLS = {"chat/completions": JSON, "completions": JSON, "embeddings": JSON, "audio/transcriptions": FORM}
MAX_JSON = 4 << 20  # bytes, in which the model is looked for
MODELS = ("/v1/models/?", rf"/v1/models/{NAME}")
# By this responses.lua knows the form of errors.
FORM_OF_ERRORS: dict[str, Any] = {"metadata": {"filter_metadata": {"envoy.filters.http.responses": {"openai": True}}}}
