"""Several classifiers as one: the weighted average of their probabilities or of their logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.formats.architecture import build

Average = Literal["probabilities", "logits"]


class Ensemble(nn.Module):
    """(B, 3, H, W) → logits (B, classes).

    Averaged probabilities are returned as their logarithms, whose softmax they are: an ensemble stands wherever one
    classifier does. Averaged logits are, after the softmax, the members' weighted geometric mean.
    """

    weights: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        weights: Sequence[float] | None = None,
        average: Average = "probabilities",
        tasks: Sequence[int] | None = None,
    ) -> None:
        """weights: of the members, any positive numbers, equal by default; kept in the state dict, summing to 1.

        tasks: the number of classes of each task, where the members answer several.
        Raises ValueError when the weights are not as many as the members, or one is not positive.
        """
        super().__init__()
        given = torch.tensor([1.0] * len(members) if weights is None else list(weights), dtype=torch.float64)
        if len(given) != len(members) or not members:
            raise ValueError(f"weights: wanted one for each of {len(members)} members; got {len(given)}")
        if not (torch.isfinite(given) & (given > 0)).all():
            raise ValueError(f"weights: wanted positive numbers; got {given.tolist()}")
        self.members = nn.ModuleList(members)
        self.register_buffer("weights", (given / given.sum()).float())
        self.average = average
        self.tasks = None if tasks is None else list(tasks)

    def forward(self, images: Tensor) -> Tensor:
        logits_MBC = torch.stack([member(images).float() for member in self.members])
        if self.tasks is None:
            return self.combine(logits_MBC)
        return torch.cat([self.combine(part) for part in logits_MBC.split(self.tasks, dim=2)], dim=1)

    def combine(self, logits_MBC: Tensor) -> Tensor:
        """The members' logits of one task as one: (B, C)."""
        weights_M11 = self.weights.view(-1, 1, 1)
        if self.average == "logits":
            return (logits_MBC * weights_M11).sum(dim=0)
        # In logarithms, so that no probability underflows.
        return (F.log_softmax(logits_MBC, dim=2) + weights_M11.log()).logsumexp(dim=0)


def ensemble(
    members: Sequence[Mapping[str, Any]],
    weights: Sequence[float] | None = None,
    average: Average = "probabilities",
    tasks: Sequence[int] | None = None,
) -> Ensemble:
    """An ensemble out of architectures, each {"factory": dotted name, "arguments": {…}}; no weights are fetched."""
    return Ensemble([build(member) for member in members], weights, average, tasks)
