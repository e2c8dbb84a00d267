"""A model as CUDA graphs: a batch is one launch instead of hundreds, each of which costs the CPU microseconds.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from handlers.acceleration.batch_buckets import Bucket, Buckets, Function, LazyBuckets, bucket_sizes
from handlers.acceleration.equivalence import Judge, mismatch, probe_inputs

logger = logging.getLogger(__name__)

WARM_UPS = 3
Made = TypeVar("Made")


@torch.no_grad()
def graphed(module: nn.Module, example: Tensor, largest: int, judge: Judge = mismatch) -> Function:
    """`module` captured at every bucket size up to `largest`; the module itself, with the reason logged, where that
    cannot be or would change its answers.

    module: answers with a tuple of tensors, on a GPU. example: an input of batch size 1, there too; inputs of another
    shape than its own run without a graph.
    """

    def make() -> tuple[Buckets, str]:
        capture = Capture(module, example.device)
        # The graphs share one pool of memory, since only one runs at a time and its outputs are copied before the next:
        # with the largest captured first, the others need little more.
        function = Buckets([capture(inputs_for(example, size)) for size in reversed(bucket_sizes(largest))], module)
        return function, next(filter(None, (judge(function(part), module(part)) for part in probe_inputs(example))), "")

    function = attempted(make, module, example)
    if function is None:
        return module
    logger.info("the model runs as CUDA graphs of %s", function)
    return function


def lazily_graphed(
    module: nn.Module, example: Tensor, largest: int, lengths: Collection[int], judge: Judge = mismatch
) -> LazyBuckets:
    """`module` captured for each length and bucket size when they first come; see `graphed`."""
    capture = Capture(module, example.device)

    @torch.no_grad()
    def make(batch: Tensor) -> Bucket | None:
        def bucket() -> tuple[Bucket, str]:
            made = capture(batch)
            return made, judge(made(batch), module(batch))

        return attempted(bucket, module, batch)

    return LazyBuckets(lengths, largest, make, module)


def attempted(make: Callable[[], tuple[Made, str]], module: nn.Module, inputs: Tensor) -> Made | None:
    """The function that `make` returns; None, and a line in the log, where it fails or says that its answers differ."""
    stream = torch.cuda.current_stream(inputs.device)
    made = None
    try:
        with torch.cuda.device(inputs.device):
            made, problem = make()
    except (RuntimeError, TypeError, ValueError) as error:
        problem = str(error).partition("\n")[0] or type(error).__name__
        torch.cuda.set_stream(stream)  # a capture that failed has left its own behind
    if not problem:
        return made
    logger.warning("the model runs without CUDA graphs of %s: %s", tuple(inputs.shape[1:]), problem)
    # By now nothing holds the graphs that were made, or the error and with it their tensors.
    made = None
    torch.cuda.empty_cache()
    module(inputs)
    torch.cuda.synchronize(inputs.device)  # raises where the device has failed, and not the capture alone
    return None


class Capture:
    """Captures a module for one shape after the other, in one pool of memory."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self.module = module
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, batch: Tensor) -> Bucket:
        """batch: of the shape, whose memory stays the batch's own."""
        with torch.inference_mode(mode=False):  # a worker captures texts while it predicts; its inputs are written to
            inputs = torch.empty_like(batch, memory_format=torch.preserve_format)
        inputs.copy_(batch)
        warm_up(self.module, inputs, self.stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            outputs = self.module(inputs)
        return Bucket(inputs, tuple(outputs), graph.replay)


def inputs_for(example: Tensor, size: int) -> Tensor:
    batch = example.repeat(size, *(1 for _ in example.shape[1:]))
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


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
            with as_while_capturing():
                module(inputs)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    torch.cuda.current_stream().wait_stream(stream)


@contextmanager
def as_while_capturing() -> Iterator[None]:
    """For code that asks whether a graph is being captured, as transformers does before it looks whether a mask is full
    and leaves it out: it is to do now as it will then."""
    asked = torch.cuda.is_current_stream_capturing
    torch.cuda.is_current_stream_capturing = lambda: True
    try:
        yield
    finally:
        torch.cuda.is_current_stream_capturing = asked
