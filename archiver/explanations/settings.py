"""The keys of a spec's `explain`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archiver.config import Count, Positive, StrictModel

# Of the model that a model's explanations are served as, beside its own name.
SUFFIX = ".explain"
MAX_WORKERS = 64


class Explain(StrictModel):
    """Workers of their own answer explanations, so that no prediction waits for one."""

    workers: Annotated[int, Field(ge=0, le=MAX_WORKERS)] = Field(
        default=0, description="for explanations alone, on each GPU where there are any; 0: none"
    )
    n_steps: Count = Field(default=50, description="of integrated gradients, where a request does not say")
    max_evaluations: Count = Field(default=500, description="runs of the model for the explanations of one request")
    max_seconds: Positive | None = Field(
        default=None,
        description="for the explanations of one request; two thirds of timeouts.response_s by default, always less",
    )

    def resolved(self, response_s: float) -> Explain:
        """With `max_seconds` named, of a worker that TorchServe kills after so many seconds."""
        seconds = self.max_seconds if self.max_seconds is not None else 2 / 3 * response_s
        return self.model_copy(update={"max_seconds": seconds})
