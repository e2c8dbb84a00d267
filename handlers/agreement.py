"""Whether a faster form of a model still gives the model's answers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

# Of a probability. What lies further apart than twice this keeps its order, so the first class is the same.
PROBABILITY = 0.005
# Of an output's norm. For an embedding it is an angle of half a degree, a cosine of 0.99995; rounding to float16, with
# 11 bits, gives some tenths of a percent after fifty layers.
RELATIVE = 0.01


def disagreement(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> str:
    """What is wrong with the outputs `found` beside those `wanted`; "" where they agree.

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
            apart = (ours.softmax(1) - expected.softmax(1)).abs().max().item()
            if not apart <= PROBABILITY:
                return f"a probability of output {number} would differ by {apart:.4f}"
    return ""
