"""A detector from a graph of one batch of images: an ONNX file, TorchScript or a `.pt2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from handlers.acceleration.onnx_model import OnnxModel
from handlers.vision.detectors.letterbox import Letterbox
from handlers.vision.detectors.output_layout import OutputLayout


class ExportedDetector:
    """preprocessing: `Letterbox`'s keys, and `output`: `OutputLayout`'s.

    Images of all sizes share a batch, since each is fitted into the same input.
    """

    mixes_sizes = True

    def __init__(self, network: nn.Module, preprocessing: Mapping[str, Any], labels: Sequence[str]) -> None:
        values = dict(preprocessing)
        self.layout = OutputLayout.from_dict(values.pop("output"))
        self.letterbox = Letterbox.from_dict(values)
        if self.layout.no_object == "first" and labels and labels[0].strip("_").lower() == "background":
            said = "output.no_object: first says that the background has no label"
            raise ValueError(f"{said}, and the first label is {labels[0]!r}; remove one of them")
        self.network, self.labels = network, labels
        if isinstance(network, OnnxModel) and network.size not in (None, self.letterbox.size):
            raise ValueError(f"preprocessing.size: got {list(self.letterbox.size)}; the file takes {network.size}")

    def check(self, height: int, width: int) -> None:
        self.letterbox.check(height, width)

    def __call__(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """uint8 (3, height, width) each → boxes (N, 4) x1 y1 x2 y2 in its pixels, scores, labels (N,), on the CPU."""
        inputs, placements = zip(*(self.letterbox(image) for image in images), strict=True)
        found = []
        for part in self.batches(list(inputs)):
            outputs = {name: output.detach().float().cpu() for name, output in self.run(torch.stack(part)).items()}
            found += self.layout.read(outputs, len(part), self.letterbox.size, self.labels)
        return [{**each, "boxes": place.back(each["boxes"])} for each, place in zip(found, placements, strict=True)]

    def batches(self, inputs: list[Tensor]) -> list[list[Tensor]]:
        """Runs of as many inputs as the file takes; one each where its rows do not say which image they are of."""
        of_batch = isinstance(self.network, OnnxModel) and self.network.ranks[0] == 3
        if self.layout.layout == "rows" and "batch" not in self.layout.columns and not of_batch:
            return [[one] for one in inputs]
        size = (self.network.batch if isinstance(self.network, OnnxModel) else None) or len(inputs)
        return [inputs[start : start + size] for start in range(0, len(inputs), size)]

    def run(self, batch_NCHW: Tensor) -> dict[str, Tensor]:
        """The outputs by name; those of torch, which have none, by their number."""
        if isinstance(self.network, OnnxModel):
            return dict(zip(self.network.names, self.network(batch_NCHW), strict=True))
        device = next((weight.device for weight in self.network.parameters()), torch.device("cpu"))
        outputs = self.network(batch_NCHW.to(device))
        if isinstance(outputs, Mapping):
            return dict(outputs)
        parts = (outputs,) if isinstance(outputs, Tensor) else outputs
        return {str(number): part for number, part in enumerate(parts) if isinstance(part, Tensor)}
