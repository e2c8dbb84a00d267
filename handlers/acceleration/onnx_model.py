"""An ONNX file that somebody brings, as a network: ONNX Runtime computes it, whatever its input is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class OnnxModel(nn.Module):
    """float32 (N, …) → all outputs as float32, in the file's order.

    Images come as (N, 3, H, W) and are turned where the file takes (N, H, W, 3). A file of a fixed batch size is called
    as often as needed, its last batch filled up. A second input of shape (N, 2) is the height and width of the images,
    as some detectors want it.

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
        self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        self.device = device
        first, *others = self.session.get_inputs()
        if first.type not in TYPES:
            raise ValueError(f"its input {first.name} is {first.type}; wanted {', '.join(TYPES)}")
        if len(others) > 1 or any(len(other.shape) != 2 or other.shape[1] != 2 for other in others):
            raise ValueError(f"it has the inputs {first.name}, {', '.join(other.name for other in others)}; wanted one")
        self.input, self.sizes = first, next(iter(others), None)
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
        found: dict[str, NDArray[Any]] = {self.input.name: np.ascontiguousarray(array, dtype=TYPES[self.input.type])}
        if self.sizes is not None:
            size = np.array([inputs.shape[2:4]] * len(inputs))
            found[self.sizes.name] = size.astype(np.float32 if "float" in self.sizes.type else np.int64)
        return found
