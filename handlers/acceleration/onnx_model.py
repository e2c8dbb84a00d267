"""An ONNX file that somebody brings, as a network: ONNX Runtime computes it, whatever its input is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handlers.formats.errors import UnsafeFile
from handlers.formats.onnx import TYPES
from handlers.formats.onnx_session import inputs_of, refusal


class OnnxModel(nn.Module):
    """float32 (N, …) → all outputs as float32, in the file's order.

    Images come as (N, 3, H, W) and are turned where the file takes (N, H, W, 3). A file of a fixed batch size is called
    as often as needed, its last batch filled up. UnsafeFile where it cannot be loaded or has other inputs.

    names, ranks: of the outputs. size: (height, width) of the images, None where the file takes any.
    """

    def __init__(self, path: Path, threads: int, device: torch.device) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        available = onnxruntime.get_available_providers()
        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        providers = [name for name in (*wanted, "CPUExecutionProvider") if name in available]
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        except Exception as error:
            # ONNX Runtime's own types, which have no parent in common.
            raise UnsafeFile(refusal(error, onnxruntime.__version__)) from error
        self.device = device
        first, self.sizes = inputs_of(self.session.get_inputs())
        self.input = first
        self.channels_last = len(first.shape) == 4 and first.shape[3] == 3 and first.shape[1] != 3
        batch = first.shape[0] if first.shape else None
        self.batch = batch if isinstance(batch, int) and batch > 0 else None
        outputs = self.session.get_outputs()
        self.names = [output.name for output in outputs]
        self.ranks = [len(output.shape) for output in outputs]
        self.of_batch = [bool(output.shape) and output.shape[0] == batch for output in outputs]
        size = first.shape[1:3] if self.channels_last else first.shape[2:4]
        self.size = (size[0], size[1]) if len(size) == 2 and all(isinstance(side, int) for side in size) else None

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        parts = [self.run(chunk) for chunk in inputs.split(self.batch or max(1, len(inputs)))]
        return tuple(torch.cat(outputs).to(self.device) for outputs in zip(*parts, strict=True))

    def run(self, inputs: Tensor) -> list[Tensor]:
        """The outputs for one batch, on the CPU, of the size that the file takes at most."""
        count, missing = len(inputs), (self.batch or 0) - len(inputs)
        if missing > 0:
            inputs = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])])
        outputs = self.session.run(None, self.feeds(inputs))
        return [
            torch.from_numpy(np.asarray(output)).float()[: count if missing > 0 and of_batch else None]
            for output, of_batch in zip(outputs, self.of_batch, strict=True)
        ]

    def feeds(self, inputs: Tensor) -> dict[str, NDArray[Any]]:
        array = inputs.detach().cpu().numpy()
        if self.channels_last:
            array = array.transpose(0, 2, 3, 1)
        if TYPES[self.input.type] == "uint8":
            array = levels(array)
        found: dict[str, NDArray[Any]] = {self.input.name: np.ascontiguousarray(array, dtype=TYPES[self.input.type])}
        if self.sizes is not None:
            size = np.array([inputs.shape[2:4]] * len(inputs))
            found[self.sizes.name] = size.astype(np.float32 if "float" in self.sizes.type else np.int64)
        return found


class FirstOutput(nn.Module):
    """The first output of an ONNX file, as a network of torch with one output returns it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        first: Tensor = self.model(inputs)[0]
        return first


def levels(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whole numbers from 0 to 255, of which a resize may have made others; ValueError for normalised images."""
    if array.size and not -1 < array.min() <= array.max() < 256:
        raise ValueError(
            f"the file takes levels from 0 to 255; the preprocessing gives {array.min():.3g} to {array.max():.3g}: "
            "wanted mean [0, 0, 0] and std [1/255, 1/255, 1/255], as numbers"
        )
    return np.rint(array).clip(0, 255)
