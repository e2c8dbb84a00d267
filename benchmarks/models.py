"""The models that are measured: a light one and a heavy one, the same weights for every system."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torchvision.models import MobileNet_V2_Weights, get_model

from archiver.archive import build
from archiver.package import resolve
from train.core.artifact import Artifact
from train.core.published_weights import state_dict

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Classifier:
    """name: of torchvision's registry. ResNet-50's weights are random: no package carries real ones, and arithmetic
    costs the same. They are seeded, and scaled so that its answers differ from image to image."""

    name: str

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        network = get_model(self.name, weights=None)
        if self.name == "mobilenet_v2":
            network.load_state_dict(state_dict(MobileNet_V2_Weights.IMAGENET1K_V1))
        else:
            network.fc.weight.data.mul_(20)
        return network.eval()

    def archive(self, store: Path, sample: bytes, spec: str = "") -> Path:
        """Our archive of it in `store`, as `python -m archiver build` makes it of `spec`, the default where empty."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "sample.jpg").write_bytes(sample)
            Artifact(
                name=self.name,
                task="image-classification",
                format="safetensors",
                labels=[str(index) for index in range(1000)],
                architecture={"factory": f"torchvision.models.{self.name}", "arguments": {"weights": None}},
                preprocessing={"resize": 256, "crop": [224, 224]},
            ).write(folder / "artifact", self.network().state_dict(), folder / "sample.jpg")
            file = folder / f"{self.name}.yaml"
            file.write_text(f"artifact: artifact\n{spec}", encoding="utf-8")
            return build(resolve(file, folder), PROJECT / "handlers", store).path


LIGHT, HEAVY = Classifier("mobilenet_v2"), Classifier("resnet50")
