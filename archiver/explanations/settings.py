"""The keys of a spec's `explain`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from archiver.config import Count, Positive, StrictModel

# Appended to a model's name to form the name of its explanations' model.
SUFFIX = ".explain"
MAX_WORKERS = 64


class Explain(StrictModel):
    """Settings of explanation workers, which are separate, so that no prediction waits for an explanation."""

    workers: Annotated[int, Field(ge=0, le=MAX_WORKERS)] = Field(
        default=0, description="number of explanation workers, per GPU if there are any; 0 for none"
    )
    n_steps: Count = Field(default=50, description="default number of integrated gradients' steps")
    max_evaluations: Count = Field(default=500, description="maximum number of model runs per request")
    max_seconds: Positive | None = Field(
        default=None,
        description="maximum seconds per request, less than timeouts.response_s; by default two thirds of it",
    )

    def resolved(self, response_s: float) -> Explain:
        """Fill in `max_seconds` for a worker that TorchServe kills after `response_s` seconds."""
        seconds = self.max_seconds if self.max_seconds is not None else 2 / 3 * response_s
        return self.model_copy(update={"max_seconds": seconds})
