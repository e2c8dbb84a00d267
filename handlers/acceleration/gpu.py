"""The fast form of a model on a GPU: channels-last, in half precision where its answers stay, as CUDA graphs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from handlers.acceleration.batch_buckets import Function
from handlers.acceleration.cuda_graphs import graphed
from handlers.acceleration.precision import in_fastest_precision
from handlers.loader import channels_last


def accelerated(module: nn.Module, example: Tensor, dynamic: Sequence[int], batch_size: int) -> Function:
    """`module` at batches of up to `batch_size` as fast as this knows how; larger ones are split.

    module, example: on the GPU. dynamic: dimensions of inputs that differ from the example's; where that is more than
    the batch, every shape would need a graph of its own, so there is none.
    """
    if example.ndim == 4:
        module = channels_last(module)
    module = in_fastest_precision(module, example)
    if tuple(dynamic) != (0,):
        return module
    return graphed(module, example, batch_size)
