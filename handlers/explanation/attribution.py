"""Attributions of one score to the numbers that it depends on, by Captum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import torch
from captum.attr import (
    FeatureAblation,
    IntegratedGradients,
    LayerGradCam,
    LayerIntegratedGradients,
    Occlusion,
    Saliency,
)
from torch import Tensor, nn

from handlers.errors import InternalError, TooSlow

# Most inputs in one run of the model, and numbers in them: with gradients, each keeps all of its activations.
AT_A_TIME, NUMBERS = 4, 4 * 3 * 224 * 224
# The sum of the attributions may differ from the difference of the scores by a share of that, or by a least amount.
SHARE, LEAST = 0.05, 0.001
# Factor on the time that an attempt is expected to take.
RESERVE = 1.2

# Inputs (N, …) → scores (N,).
Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Completeness:
    """The attributions of integrated gradients sum to the difference of two scores (Sundararajan et al. 2017).

    score, baseline: the model's for the input and for the baseline. total: the sum of the attributions.
    """

    score: float
    baseline: float
    total: float

    @property
    def delta(self) -> float:
        return self.total - (self.score - self.baseline)

    @property
    def holds(self) -> bool:
        return abs(self.delta) <= max(SHARE * abs(self.score - self.baseline), LEAST)

    def to_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "baseline": self.baseline,
            "sum": self.total,
            "delta": self.delta,
            "holds": self.holds,
        }


@dataclass(frozen=True)
class Attribution:
    """values: shaped as the input without its first dimension. score: the model's for the input.

    n_steps: points on the path of integrated gradients.
    """

    values: Tensor
    score: float
    completeness: Completeness | None = None
    n_steps: int | None = None


@dataclass
class Attributor:
    """Explains one score.

    deadline: by the monotonic clock, in seconds; TooSlow is raised if the next run of the model would end later. most:
    steps of integrated gradients in all attempts together. runs: of the model so far; longest: seconds to expect of
    one.
    """

    score: Score
    deadline: float
    most: int
    runs: int = 0
    longest: float = 0.0

    def run(self, inputs: Tensor) -> Tensor:
        began = monotonic()
        if began + self.longest > self.deadline:
            raise TooSlow(
                "the explanation takes longer than its time limit; ask for fewer n_steps, or a larger window and stride"
            )
        self.runs += len(inputs)
        scores = self.score(inputs)
        self.longest = max(self.longest, RESERVE * (monotonic() - began))
        return scores

    def integrated_gradients(
        self, inputs: Tensor, baseline: Tensor, n_steps: int, refine: bool, layer: nn.Module | None = None
    ) -> Attribution:
        """inputs, baseline: (1, …). n_steps: points on the path between them, each a forward and a backward pass
        (Gauss-Legendre quadrature). refine: double them until the attributions are complete, as far as `most` and the
        deadline allow.

        layer: its output (1, tokens, dimensions) stands for inputs that are indices and have no gradient; values are
        then per token.
        """
        method = IntegratedGradients(self.run) if layer is None else LayerIntegratedGradients(self.run, layer)
        with torch.no_grad():
            score, before = (float(self.run(values)) for values in (inputs, baseline))
        used = n_steps
        while True:
            began = monotonic()
            values = method.attribute(inputs, baseline, n_steps=n_steps, internal_batch_size=at_a_time(inputs)).detach()
            complete = Completeness(score, before, float(values.double().sum()))
            ends = monotonic() + RESERVE * 2 * (monotonic() - began)  # if there were another attempt
            if complete.holds or not refine or used + 2 * n_steps > self.most or ends > self.deadline:
                values = values if layer is None else values.sum(dim=-1)
                return checked(values, score, complete, n_steps)
            n_steps *= 2
            used += n_steps

    def saliency(self, inputs: Tensor) -> Attribution:
        """The gradient's magnitude (Simonyan et al. 2014), by one forward and backward pass."""
        return self.plain(Saliency(self.run).attribute(inputs.clone().requires_grad_(True)), inputs)

    def occlusion(
        self, inputs: Tensor, baseline: Tensor, window: tuple[int, ...], stride: tuple[int, ...]
    ) -> Attribution:
        """How far the score falls where the baseline covers a window (Zeiler and Fergus 2014); no gradient is needed.

        window, stride: by dimension of the input, the first left out.
        """
        with torch.no_grad():
            values = Occlusion(self.run).attribute(
                inputs, window, strides=stride, baselines=baseline, perturbations_per_eval=at_a_time(inputs)
            )
        return self.plain(values, inputs)

    def ablation(self, inputs: Tensor, baseline: Tensor) -> Attribution:
        """How far the score falls when each number of the input is replaced by the baseline's."""
        with torch.no_grad():
            values = FeatureAblation(self.run).attribute(inputs, baseline, perturbations_per_eval=at_a_time(inputs))
        return self.plain(values, inputs)

    def grad_cam(self, inputs: Tensor, layer: nn.Module) -> Attribution:
        """The positive part of a layer's maps (1, channels, h, w), weighted by their mean gradients (Selvaraju et al.
        2017) → values (1, h, w)."""
        values = LayerGradCam(self.run, layer).attribute(inputs.clone().requires_grad_(True), relu_attributions=True)
        return self.plain(values, inputs)

    def plain(self, values: Tensor, inputs: Tensor) -> Attribution:
        with torch.no_grad():
            score = float(self.run(inputs))
        return checked(values, score)


def at_a_time(inputs: Tensor) -> int:
    return max(1, min(AT_A_TIME, NUMBERS // inputs.numel()))


def checked(
    values: Tensor, score: float, completeness: Completeness | None = None, n_steps: int | None = None
) -> Attribution:
    values = values.detach()[0].float().cpu()
    if not (torch.isfinite(values).all() and math.isfinite(score)):
        raise InternalError("the attributions of this input are not finite")
    return Attribution(values, score, completeness, n_steps)


def positions(size: int, window: int, stride: int) -> int:
    """Positions of a window along a side of `size`, as in Captum's Occlusion: the last may reach beyond its end."""
    return math.ceil((size - window) / stride) + 1
