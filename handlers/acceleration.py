"""The fastest form of a model on the worker's device, with the same answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from handlers.freezing import freeze
from handlers.on_gpu import accelerated
from handlers.onnx_graph import export
from handlers.spread import spread

logger = logging.getLogger(__name__)

Function = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Acceleration:
    """What a worker has to choose from.

    graph: the archive's ONNX graph; it is used on a CPU where it is there. export: a file to write that graph to, when
    the archive is built. threads: of ONNX Runtime. batch_size: the largest batch to come, for a GPU. cores: those that
    it may use while `alone` says that no other worker computes.
    """

    device: torch.device
    threads: int
    graph: Path
    export: Path | None = None
    batch_size: int = 1
    cores: int = 1
    alone: Callable[[], bool] = lambda: False

    def __call__(self, build: Callable[[], nn.Module], example: Tensor, dynamic: Sequence[int] = (0,)) -> Function:
        """A function of one batch that answers as `build()` does.

        build: makes the module on the worker's device, which answers with a tuple of tensors; not called where a graph
        stands for it, which saves its memory. example: an input of batch size 1 on the CPU. dynamic: its dimensions
        that may differ from the example's.

        On a CPU it is the ONNX graph, or the frozen module where the archive has none; on a GPU the module as CUDA
        graphs, in half precision where that answers the same. It is for one thread at a time.
        """
        if self.export is not None:
            module = build()
            export(module, example, dynamic, self.export)
            return module
        if self.device.type == "cpu" and self.graph.is_file():
            return spread(self.graph, self.threads, self.cores, self.alone, example)
        if self.device.type == "cuda":
            return accelerated(build(), example.to(self.device), dynamic, self.batch_size)
        return freeze(build(), example.to(self.device), dynamic)
