"""A model's explanations: a second model of the server's, from the same archive, with workers of its own."""

from __future__ import annotations

SUFFIX = ".explain"


def explainer_of(model: str) -> str:
    """The name that a model's explanations go by."""
    return f"{model}{SUFFIX}"


def is_explainer(model: str) -> bool:
    return model.endswith(SUFFIX)
