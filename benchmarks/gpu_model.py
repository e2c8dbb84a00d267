"""The models of the benchmark on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from benchmarks.models import LIGHT, Classifier

SPREAD = 3.0  # of the logits, as a trained network has it


@dataclass(frozen=True)
class Settled(Classifier):
    """Random weights whose batch norms fit the pictures and whose logits spread as those of a trained network do.

    Half precision is judged by the answers, and the logits of plain random weights run into thousands, where every
    probability is 0 or 1 and any rounding moves it.
    """

    def network(self) -> nn.Module:
        network = super().network()
        network.load_state_dict(settled(self.name))
        return network.eval()


@cache
def settled(name: str) -> dict[str, torch.Tensor]:
    from benchmarks.pictures import TRANSFORM, pictures  # which need the models' module
    from handlers.image import decode_image
    from handlers.payload import Payload

    network = Classifier(name).network()
    images_NCHW = torch.stack([TRANSFORM(decode_image(Payload(data, "image/jpeg"))) for data in pictures()])
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the plain mean of what it has seen
    with torch.no_grad():
        network.train()(images_NCHW)
        logits = network.eval()(images_NCHW)
        head = network.get_submodule("fc")
        for parameter in head.parameters():
            parameter.mul_(SPREAD / logits.std())
    return network.state_dict()


MODELS: dict[str, Classifier] = {"resnet50": Settled("resnet50"), LIGHT.name: LIGHT}
