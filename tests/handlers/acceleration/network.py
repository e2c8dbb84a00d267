"""A small network and images for it."""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from handlers.networks.normalised import Normalised
from handlers.vision.transform import ImageTransform

TRANSFORM = ImageTransform(resize=64, crop=(64, 64))
EXAMPLE = TRANSFORM.example()
LARGEST = 6


def network() -> Normalised:
    """Small, with random weights and batch norms that fit them, so that it answers as trained ones do."""
    torch.manual_seed(0)
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5).requires_grad_(False)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the plain mean of what it has seen
    model.train()(TRANSFORM.normalise(images(32)))
    return Normalised(model.eval(), TRANSFORM).eval()


def images(size: int, seed: int = 0) -> Tensor:
    """Noise over colours of their own, so that each has an answer of its own."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randint(0, 192, (size, 3, 1, 1), generator=generator)
    return (colours + torch.randint(0, 64, (size, 3, 64, 64), generator=generator)).to(torch.uint8)


def check_equal(found: Tensor, wanted: Tensor) -> None:
    """Row by row, as float16 has it: within 3 % of the norm, which is a fraction of what rows differ by."""
    assert found.shape == wanted.shape
    found, wanted = found.float().cpu(), wanted.float().cpu()
    assert ((found - wanted).norm(dim=1) <= 0.03 * wanted.norm(dim=1)).all()


class Tupled(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.module(inputs),)
