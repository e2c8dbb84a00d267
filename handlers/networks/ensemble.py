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
    """(B, 3, H, W), or as many of them as there are members → logits (B, classes).

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
        separate: bool = False,
    ) -> None:
        """weights: of the members, any positive numbers, equal by default; kept in the state dict, summing to 1.

        tasks: the number of classes of each task, where the members answer several. separate: each member has images
        of its own, resized and normalised as it was trained.
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
        self.separate = separate

    def forward(self, images: Tensor | Sequence[Tensor]) -> Tensor:
        # By number, as torch.fx traces it: it cannot know how many there are.
        found = [member(images[i] if self.separate else images).float() for i, member in enumerate(self.members)]
        logits_MBC = torch.stack(found)
        if self.tasks is None:
            return self.combine(logits_MBC)
        parts = logits_MBC.split(self.tasks, dim=2)
        return torch.cat([self.combine(parts[i]) for i in range(len(self.tasks))], dim=1)

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
    separate: bool = False,
) -> Ensemble:
    """An ensemble out of architectures, each {"factory": dotted name, "arguments": {…}}; no weights are fetched."""
    return Ensemble([build(member) for member in members], weights, average, tasks, separate)
