"""The fastest form of a model on the worker's device, with the same answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from handlers.acceleration.adaptive_threads import AdaptiveThreads, with_adaptive_threads
from handlers.acceleration.equivalence import Judge, mismatch
from handlers.acceleration.onnx_runtime import OnnxGraph, export

logger = logging.getLogger(__name__)

Function = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass
class Acceleration:
    """Chooses the fastest form of a model for a worker.

    graph: the archive's ONNX graph, used on a CPU if it exists. export: the file to write that graph to while the
    archive is built. threads: ONNX Runtime's. batch_size: the largest batch to expect, for a GPU. cores: as many may be
    used while `others_idle()`, that is while no other worker computes. as_is: the model is not torch's own, and has no
    other form. chosen: the function that it made last, for `describe`.
    """

    device: torch.device
    threads: int
    graph: Path
    export: Path | None = None
    batch_size: int = 1
    cores: int = 1
    others_idle: Callable[[], bool] = lambda: False
    as_is: bool = False
    chosen: Function | None = field(default=None, init=False)

    def __call__(
        self,
        build: Callable[[], nn.Module],
        example: Tensor,
        dynamic: Sequence[int] = (0,),
        judge: Judge = mismatch,
        lengths: Collection[int] = (),
    ) -> Function:
        """A function of one batch that returns what `build()` returns for it.

        build: makes the module, which returns a tuple of tensors, on the worker's device; it is not called if there is
        a graph, to save its memory. example: an input of batch size 1 on the CPU. dynamic: the dimensions that may
        differ from the example's. judge: whether outputs on a GPU are still the model's. lengths: the few that inputs
        have there in their last dimension, each of which gets graphs of its own.

        On a CPU the function runs the ONNX graph, or the frozen module if the archive has no graph; on a GPU the module
        as CUDA graphs, in half precision if that gives the same answers. Only one thread may call it at a time.
        """
        self.chosen = self.fastest(build, example, dynamic, judge, lengths)
        return self.chosen

    def fastest(
        self,
        build: Callable[[], nn.Module],
        example: Tensor,
        dynamic: Sequence[int],
        judge: Judge,
        lengths: Collection[int],
    ) -> Function:
        if self.as_is:
            return build()
        if self.export is not None:
            module = build()
            export(module, example, dynamic, self.export)
            return module
        if self.device.type == "cpu" and self.graph.is_file():
            return with_adaptive_threads(self.graph, self.threads, self.cores, self.others_idle, example)
        if self.device.type == "cuda":
            from handlers.acceleration.gpu import accelerated  # a worker on a CPU starts sooner without it

            return accelerated(build(), example.to(self.device), dynamic, self.batch_size, judge, lengths)
        from handlers.acceleration.torchscript import freeze

        return freeze(build(), example.to(self.device), dynamic)

    def describe(self) -> dict[str, str]:
        """The form the model runs in: its precision and graphs on a GPU, its runtime on a CPU."""
        if self.as_is or isinstance(self.chosen, OnnxGraph | AdaptiveThreads):
            return {"form": "ONNX Runtime"}
        if self.device.type == "cuda" and self.chosen is not None:
            from handlers.acceleration.gpu import described

            return described(self.chosen)
        return {"form": "frozen TorchScript" if isinstance(self.chosen, torch.jit.ScriptModule) else "eager"}
