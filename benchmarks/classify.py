"""The same classification twice, for every server that runs our code: the usual way, and the fast one."""

from __future__ import annotations

import io
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision import transforms

from benchmarks.models import Classifier
from handlers.acceleration.onnx_runtime import OnnxGraph, export
from handlers.networks.normalised import Normalised
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.transform import ImageTransform

TRANSFORM = ImageTransform(resize=256, crop=(224, 224))


class Classify(ABC):
    """Images as JPEG → decoded → (index, probability) of the most probable class."""

    @abstractmethod
    def __init__(self, classifier: Classifier) -> None:
        """Load the model."""

    @abstractmethod
    def decode(self, data: bytes) -> Any:
        """One image, ready for a batch."""

    @abstractmethod
    def predict(self, batch: Sequence[Any]) -> torch.Tensor:
        """(N, 1000) probabilities."""

    def best(self, batch: Sequence[Any]) -> list[tuple[int, float]]:
        probabilities, indices = self.predict(batch).max(dim=1)
        return list(zip(indices.tolist(), probabilities.tolist(), strict=True))


class Usual(Classify):
    """PIL, torchvision's transforms and the eager network, as tutorials and the peers' own examples have it."""

    def __init__(self, classifier: Classifier) -> None:
        self.network = classifier.network()
        self.transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize(mean=TRANSFORM.mean, std=TRANSFORM.std),
            ]
        )

    def decode(self, data: bytes) -> torch.Tensor:
        return self.from_image(Image.open(io.BytesIO(data)))

    def from_image(self, image: Image.Image) -> torch.Tensor:
        tensor: torch.Tensor = self.transform(image.convert("RGB"))
        return tensor

    @torch.inference_mode()
    def predict(self, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.network(torch.stack(list(batch))).softmax(dim=1)


class Fast(Classify):
    """As our handler does it: libjpeg-turbo, a resize on uint8, ONNX Runtime."""

    def __init__(self, classifier: Classifier, threads: int = 1) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "graph.onnx")
            export(Normalised(classifier.network(), TRANSFORM), TRANSFORM.example(), (0,), path)
            self.graph = OnnxGraph(path, threads)

    def decode(self, data: bytes) -> torch.Tensor:
        return TRANSFORM.geometry(decode_image(Payload(data, "image/jpeg")))

    def predict(self, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        (logits,) = self.graph(torch.stack(list(batch)))
        return logits.softmax(dim=1)


WAYS: dict[str, type[Classify]] = {"usual": Usual, "fast": Fast}


def main() -> None:
    """`python -m benchmarks.classify WAY MODEL BATCH`: a process of the in-process limit.

    It says "ready", waits for a line with a time in seconds, classifies the images for so long and prints how many
    it did.
    """
    from time import perf_counter

    from benchmarks.images import images

    way, model, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(1)
    classify = WAYS[way](Classifier(model))
    data = images()
    for _ in range(5):
        classify.best([classify.decode(image) for image in data[:size]])
    print("ready", flush=True)
    for line in sys.stdin:
        end = perf_counter() + float(line)
        done = 0
        while perf_counter() < end:
            batch = [classify.decode(data[(done + offset) % len(data)]) for offset in range(size)]
            classify.best(batch)
            done += size
        print(done, flush=True)


if __name__ == "__main__":
    main()
