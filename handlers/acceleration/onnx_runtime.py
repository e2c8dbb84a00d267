"""A model as an ONNX graph: written when its archive is built, run by ONNX Runtime on a CPU.

On one core MobileNetV2 answers 1.3 to 1.6 times as fast as its frozen TorchScript, ResNet-50 1.25 times.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from handlers.acceleration.equivalence import max_relative_error, probe_inputs

TOLERANCE = 1e-3
OPSET = 18
INPUT = "input"


class GraphError(Exception):
    """The model cannot be written as a graph, or the graph would answer otherwise; the message says why."""


class OnnxGraph:
    """A graph of one input, on `threads` cores; 0 leaves the number to ONNX Runtime."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A worker waits for its next batch most of the time: threads that spin meanwhile take the other workers' cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.session.run(None, {INPUT: np.ascontiguousarray(inputs.numpy())})
        return tuple(torch.from_numpy(output) for output in outputs)


def export(module: nn.Module, example: Tensor, dynamic: Sequence[int], path: Path) -> None:
    """Write `module` as a graph and compare its answers with the module's own.

    module: answers with a tuple of tensors. example: an input of batch size 1. dynamic: which of its dimensions may
    differ from the example's; 0 is the batch.
    Raises GraphError, and then there is no file.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no operator for attention's fused kernel
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the exporter's age, and every constant of a trace
            outputs = [f"output{number}" for number, _ in enumerate(module.eval()(example))]
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=False,  # the newer exporter takes a quarter of a minute for MobileNetV2, this one a second
                input_names=[INPUT],
                output_names=outputs,
                dynamic_axes={INPUT: axes(INPUT, dynamic), **{name: axes(name, dynamic) for name in outputs}},
                opset_version=OPSET,
                # The weights as they are stored, so that the graph can name their place there. ONNX Runtime merges a
                # batch norm into its convolution, and folds what is constant, as well when it loads a graph.
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
            )
        difference = compare(module, OnnxGraph(path, 1), example, dynamic)
    except Exception as error:
        path.unlink(missing_ok=True)
        # The exporter, its dependencies and ONNX Runtime each raise types of their own.
        raise GraphError(str(error).strip().splitlines()[0][:300] if str(error) else type(error).__name__) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    if not difference <= TOLERANCE:
        path.unlink(missing_ok=True)
        raise GraphError(f"its output would differ by {difference:g}")


def axes(name: str, dynamic: Sequence[int]) -> dict[int, str]:
    """The names of a tensor's dynamic dimensions; all tensors have the batch in common."""
    return {d: f"{name}{d}" if d else "batch" for d in dynamic}


def compare(module: nn.Module, graph: OnnxGraph, example: Tensor, dynamic: Sequence[int]) -> float:
    with torch.no_grad():
        return max(max_relative_error(graph(inputs), module(inputs)) for inputs in probe_inputs(example, dynamic))
