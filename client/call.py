"""A call of a model, independent of the protocol."""

from __future__ import annotations

from dataclasses import dataclass

from client.explanations import explainer_of
from client.payload import Parameters, Payload

TIMEOUT = 30.0  # default in seconds


@dataclass(frozen=True)
class Call:
    """The arguments of `Inference.predict`.

    explains: request an explanation instead of a prediction. max_retries: None for the client's default.
    """

    model: str
    payload: Payload
    content_type: str | None = None
    accept: str | None = None
    version: str | None = None
    parameters: Parameters | None = None
    timeout: float | None = None
    explains: bool = False
    max_retries: int | None = None

    @property
    def served_model(self) -> str:
        """The name of the model that answers; explanations come from a second model."""
        return explainer_of(self.model) if self.explains else self.model
