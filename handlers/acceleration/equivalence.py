"""Whether a faster form of a model still gives the model's outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

# Of a probability. Two that differ by more than twice this keep their order, so the first class is the same.
PROBABILITY = 0.005
# Of an output's norm. For an embedding it is an angle of half a degree, a cosine of 0.99995; rounding to float16, with
# 11 bits, gives some tenths of a percent after fifty layers.
RELATIVE = 0.01


def mismatch(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> str:
    """How the outputs `found` differ from those `wanted`; "" where they agree.

    Every output may differ by RELATIVE of its norm. One of two dimensions or more is also read as logits over its
    second: their probabilities may differ by PROBABILITY.
    """
    if len(found) != len(wanted):
        return f"{len(found)} outputs instead of {len(wanted)}"
    for number, (ours, expected) in enumerate(zip(found, wanted, strict=True)):
        if ours.shape != expected.shape:
            return f"output {number} would have shape {list(ours.shape)} instead of {list(expected.shape)}"
        ours, expected = ours.double(), expected.double()
        scale = expected.norm().clamp_min(1e-12)
        relative = ((ours - expected).norm() / scale).item()
        if not relative <= RELATIVE:  # so that NaN is a difference
            return f"output {number} would differ by {relative:.2%}"
        if ours.ndim > 1:
            difference = (ours.softmax(1) - expected.softmax(1)).abs().max().item()
            if not difference <= PROBABILITY:
                return f"a probability of output {number} would differ by {difference:.4f}"
    return ""


def max_relative_error(found: Iterable[Tensor], wanted: Iterable[Tensor]) -> float:
    """The largest difference between two models' outputs, relative to an output's largest number where that exceeds 1.

    Infinite where an output is NaN, which Python's max would pass over.
    """
    pairs = zip(found, wanted, strict=True)
    error = torch.stack([(a - b).abs().max() / b.abs().max().clamp_min(1) for a, b in pairs]).max().item()
    return math.inf if math.isnan(error) else error


def probe_inputs(example: Tensor, dynamic: Sequence[int] = (0,)) -> list[Tensor]:
    """Inputs that reveal what a trace has baked in: a batch of another size than the example, one of other values, and
    one of half the size in each further dynamic dimension."""
    smaller = example
    for dimension in dynamic:
        if dimension > 0:
            smaller = smaller.narrow(dimension, 0, example.shape[dimension] // 2)
    found = [torch.cat([example.flip(-1), example]), example / 2 if example.is_floating_point() else example // 2]
    return found if smaller is example else [*found, smaller]
