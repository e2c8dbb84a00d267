"""A model's explanations, which the server offers as a second model with its own workers, from the same archive."""

from __future__ import annotations

SUFFIX = ".explain"


def explainer_of(model: str) -> str:
    """The name of the second model, which explains a model's answers."""
    return f"{model}{SUFFIX}"


def is_explainer(model: str) -> bool:
    return model.endswith(SUFFIX)
