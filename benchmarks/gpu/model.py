"""The models of the benchmark on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from benchmarks.models import LIGHT, Classifier

SPREAD = 1.5  # of the logits


@dataclass(frozen=True)
class StaticCosts(Classifier):
    """Random weights with a head that tells the images apart by logits of the size that trained networks give.

    Half precision is judged by the answers, and the logits of plain random weights run into thousands, where every
    probability is 0 or 1 and any rounding moves it.
    """

    def network(self) -> nn.Module:
        network = super().network()
        network.load_state_dict(static_costs(self.name))
        return network.eval()


@cache
def static_costs(name: str) -> dict[str, torch.Tensor]:
    from benchmarks.images import TRANSFORM, images  # which need the models' module
    from handlers.protocol.payload import Payload
    from handlers.vision.decoding import decode_image

    network = Classifier(name).network()
    images_NCHW = torch.stack([TRANSFORM(decode_image(Payload(data, "image/jpeg"))) for data in images()])
    with torch.no_grad():
        logits = network(images_NCHW)
        weight, bias = (network.get_parameter(f"fc.{name}") for name in ("weight", "bias"))
        scale = SPREAD / (logits - logits.mean(dim=0)).std()
        bias.sub_(logits.mean(dim=0)).mul_(scale)
        weight.mul_(scale)
    return network.state_dict()


MODELS: dict[str, Classifier] = {"resnet50": StaticCosts("resnet50"), LIGHT.name: LIGHT}
