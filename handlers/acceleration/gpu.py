"""The fast form of a model on a GPU: channels-last, in half precision where its answers stay, as CUDA graphs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from handlers.acceleration.batch_buckets import Buckets, Function, LazyBuckets
from handlers.acceleration.cuda_graphs import graphed, lazily_graphed
from handlers.acceleration.equivalence import Judge, mismatch
from handlers.acceleration.precision import InPrecision, in_fastest_precision
from handlers.loader import channels_last


def accelerated(
    module: nn.Module,
    example: Tensor,
    dynamic: Sequence[int],
    batch_size: int,
    judge: Judge = mismatch,
    lengths: Collection[int] = (),
) -> Function:
    """`module` at batches of up to `batch_size` as fast as this knows how; larger ones are split.

    module, example: on the GPU. dynamic: dimensions of inputs that differ from the example's; where that is more than
    the batch, every shape would need a graph of its own, so there are only those of `lengths`, of the last dimension.
    """
    if example.ndim == 4:
        module = channels_last(module)
    fixed = tuple(dynamic) == (0,)
    # cuDNN tries its algorithms for each new shape, before the graphs are captured: of few shapes it is soon over.
    torch.backends.cudnn.benchmark = fixed
    fast = in_fastest_precision(module, example, judge)
    if lengths:
        return lazily_graphed(fast, example, batch_size, lengths, judge)
    return graphed(fast, example, batch_size, judge) if fixed else fast


def described(function: Function) -> dict[str, str]:
    """precision, and graphs where there are any, of what `accelerated` returns."""
    if isinstance(function, Buckets | LazyBuckets):
        return described(function.otherwise) | {"graphs": str(function)}
    return {"precision": function.form if isinstance(function, InPrecision) else "float32", "graphs": "none"}
