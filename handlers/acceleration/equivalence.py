"""Whether a faster form of a model still gives the model's outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

# Of a probability. Two that differ by more than twice this keep their order, so the first class is the same.
PROBABILITY = 0.005
# Of an output's norm. For an embedding it is an angle of half a degree, a cosine of 0.99995; rounding to float16, with
# 11 bits, gives some tenths of a percent after fifty layers.
RELATIVE = 0.01
# Of a dense output's pixels. A label map shows no probabilities, and a maximum over millions of them is that of a pixel
# on an edge: the share of the pixels that change their class is bounded, and the change of a probability of all but as
# many.
SHARE = 0.001
DENSE_PROBABILITY = 2 * PROBABILITY

Outputs = Sequence[Tensor]
# (found, wanted) → how the outputs found differ from those wanted; "" where they agree.
Judge = Callable[[Outputs, Outputs], str]


def mismatch(found: Outputs, wanted: Outputs) -> str:
    """How outputs differ whose task says no more about them; "" where they agree.

    Every output may differ by RELATIVE of its norm. It is also read as logits: of two dimensions over the second, of
    three, as those of tokens or anchors, over the last, and the probabilities may differ by PROBABILITY; of more, as
    those of pixels, over the second, by `by_labels`.
    """
    problem = by_norm(found, wanted)
    for number, (ours, expected) in enumerate(zip(found, wanted, strict=True) if not problem else ()):
        if ours.ndim in (2, 3):
            problem = problem or apart(f"output {number}", ours.double().softmax(-1), expected.double().softmax(-1))
        elif ours.ndim > 3:
            problem = problem or changed(f"output {number}", ours, expected)
    return problem


def by_norm(found: Outputs, wanted: Outputs) -> str:
    """Of embeddings, values and other outputs that are no logits."""
    if len(found) != len(wanted):
        return f"{len(found)} outputs instead of {len(wanted)}"
    for number, (ours, expected) in enumerate(zip(found, wanted, strict=True)):
        if ours.shape != expected.shape:
            return f"output {number} would have shape {list(ours.shape)} instead of {list(expected.shape)}"
        expected = expected.double()
        relative = ((ours.double() - expected).norm() / expected.norm().clamp_min(1e-12)).item()
        if not relative <= RELATIVE:  # so that NaN is a difference
            return f"output {number} would differ by {relative:.2%}"
    return ""


def by_probabilities(read: Callable[[Outputs], Outputs]) -> Judge:
    """A judge of what a task's answers show. read: a model's outputs, as float64 → probabilities."""

    def judge(found: Outputs, wanted: Outputs) -> str:
        problem = by_norm(found, wanted)
        if problem:
            return problem
        pairs = zip(*(read([part.double() for part in outputs]) for outputs in (found, wanted)), strict=True)
        return next(
            filter(None, (apart(f"output {n}", ours, expected) for n, (ours, expected) in enumerate(pairs))), ""
        )

    return judge


def by_labels(found: Outputs, wanted: Outputs) -> str:
    """Of one score for each class and pixel: (N, classes, height, width)."""
    return by_norm(found, wanted) or changed("output 0", found[0], wanted[0])


def apart(name: str, ours: Tensor, expected: Tensor) -> str:
    difference = (ours - expected).abs().max().item() if ours.numel() else 0.0
    return "" if difference <= PROBABILITY else f"a probability of {name} would differ by {difference:.4f}"


def changed(name: str, ours: Tensor, expected: Tensor) -> str:
    """How the classes of pixels differ. ours, expected: (N, classes, …), finite."""
    share = (ours.argmax(1) != expected.argmax(1)).double().mean().item()
    if not share <= SHARE:
        return f"the class of {share:.2%} of {name}'s pixels would change"
    moved = (ours.softmax(1) - expected.softmax(1)).abs().flatten()
    difference = moved.kthvalue(math.ceil((1 - SHARE) * len(moved))).values.item()
    return "" if difference <= DENSE_PROBABILITY else f"probabilities of {name} would differ by {difference:.4f}"


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
