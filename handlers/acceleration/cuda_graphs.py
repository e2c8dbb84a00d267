"""A model as CUDA graphs: a batch is one launch instead of hundreds, each of which costs the CPU microseconds.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from handlers.acceleration.batch_buckets import Bucket, Buckets, Function, bucket_sizes
from handlers.acceleration.equivalence import mismatch, probe_inputs

logger = logging.getLogger(__name__)

WARM_UPS = 3


@torch.no_grad()
def graphed(module: nn.Module, example: Tensor, largest: int) -> Function:
    """`module` captured at every bucket size up to `largest`; the module itself, with the reason logged, where that
    cannot be or would change its answers.

    module: answers with a tuple of tensors, on a GPU. example: an input of batch size 1, there too; inputs of another
    shape than its own run without a graph.
    """
    stream = torch.cuda.current_stream(example.device)
    try:
        with torch.cuda.device(example.device):
            function = Buckets(capture(module, example, largest), module)
        problem = next(filter(None, (mismatch(function(part), module(part)) for part in probe_inputs(example))), "")
    except (RuntimeError, TypeError, ValueError) as error:
        problem = str(error).partition("\n")[0] or type(error).__name__
        torch.cuda.set_stream(stream)  # a capture that failed has left its own behind
        module(example)
        torch.cuda.synchronize(example.device)  # raises where the device has failed, and not the capture alone
    if problem:
        logger.warning("the model runs without CUDA graphs: %s", problem)
        return module
    logger.info("the model runs as CUDA graphs of batch sizes %s", ", ".join(map(str, function.sizes)))
    return function


def capture(module: nn.Module, example: Tensor, largest: int) -> list[Bucket]:
    """A graph for each bucket size. They share one pool of memory, because only one runs at a time and its outputs are
    copied before the next: with the largest captured first, the others need little more."""
    stream = torch.cuda.Stream()
    pool = torch.cuda.graph_pool_handle()
    buckets = []
    for size in reversed(bucket_sizes(largest)):
        inputs = example.repeat(size, *(1 for _ in example.shape[1:]))
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        warm_up(module, inputs, stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            outputs = module(inputs)
        buckets.append(Bucket(inputs, tuple(outputs), graph.replay))
    return buckets


def warm_up(module: nn.Module, inputs: Tensor, stream: torch.cuda.Stream) -> None:
    """Run what libraries do at a first call, which no graph may hold.

    RuntimeError for a module that waits for the device, to branch on its data or to copy them: it cannot be captured,
    and a capture that fails halfway leaves the memory allocator in disorder.
    """
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            module(inputs)
        torch.cuda.set_sync_debug_mode("error")
        try:
            module(inputs)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    torch.cuda.current_stream().wait_stream(stream)
