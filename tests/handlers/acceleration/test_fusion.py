"""Fused convolutions compute what the layers they replace do."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large
from torchvision.ops import FrozenBatchNorm2d

from handlers.acceleration.fusion import FusedConvolution, fused
from handlers.networks.detection import mobilenet_v2_ssd
from handlers.networks.detector_trunk import extract
from handlers.networks.normalised import Normalised
from tests.handlers.acceleration.network import TRANSFORM, Tupled, images
from tests.handlers.gpu import needs_gpu

PLAIN = {"weights": None, "weights_backbone": None, "num_classes": 4}
NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)


def unlike_new(network: nn.Module) -> nn.Module:
    """With batch norms that do something."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, NORMS):
            assert part.running_mean is not None
            assert part.running_var is not None
            shape = part.running_mean.shape
            part.running_mean.copy_(torch.randn(shape, generator=generator) / 3)
            part.running_var.copy_(torch.rand(shape, generator=generator) + 0.5)
            part.weight.data.copy_(torch.rand(shape, generator=generator) + 0.5)
    return network.eval().requires_grad_(False)


def classifier(name: str) -> nn.Module:
    return Normalised(get_model(name, weights=None, num_classes=5), TRANSFORM)


def trunk(make: Callable[[], nn.Module]) -> nn.Module:
    found = extract(make())
    assert found is not None
    return found


# With the convolutions that have a ReLU behind them, and the batch norms that stand before their convolution.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "resnet18": (partial(classifier, "resnet18"), 17, 0),
    "resnext50": (partial(classifier, "resnext50_32x4d"), 33, 0),  # cuDNN's own way for its groups
    "mobilenet_v2": (partial(classifier, "mobilenet_v2"), 0, 0),  # ReLU6
    "densenet121": (partial(classifier, "densenet121"), 59, 62),
    "segmenter": (lambda: Normalised(lraspp_mobilenet_v3_large(**PLAIN), TRANSFORM), 14, 0),
    "ssd": (partial(trunk, partial(mobilenet_v2_ssd, 4, 96, 32)), 0, 0),
    "faster_rcnn": (partial(trunk, partial(fasterrcnn_resnet50_fpn, **PLAIN)), 49, 0),
}


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_a_fused_network_answers_as_its_own(name: str) -> None:
    make, convolutions, norms = NETWORKS[name]
    torch.manual_seed(0)
    network = unlike_new(make())
    inputs = torch.randn(2, 3, 96, 96) if name in ("ssd", "faster_rcnn") else images(2)
    wanted = network(inputs)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = fused(network)
    assert fast is not None
    assert sum(isinstance(part, FusedConvolution) for part in fast.modules()) == convolutions
    assert sum(isinstance(part, NORMS) for part in fast.modules()) == norms
    for found, expected in zip(fast(inputs), wanted, strict=True):
        assert (found - expected).norm() <= 1e-5 * expected.norm()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


class Odd(nn.Module):
    """Convolutions that must not be fused: one whose output goes two ways, one that is called twice, a sum with a
    number or with itself, and padding that mirrors."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.mirrored = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")
        self.norm, self.other_norm = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        first = self.one(x)
        second = F.relu(self.norm(first)) + first
        third = F.relu(self.two(self.two(second)) + 1)
        doubled = self.three(third)
        return F.relu(doubled + doubled) + F.relu(self.other_norm(self.mirrored(third)))


@torch.no_grad()
def test_what_is_used_elsewhere_is_not_fused() -> None:
    torch.manual_seed(0)
    network = unlike_new(Odd())
    fast = fused(Tupled(network))
    assert fast is not None
    assert not any(isinstance(part, FusedConvolution) for part in fast.modules())
    assert [type(part) for part in fast.modules()].count(nn.BatchNorm2d) == 1  # the other is folded into `mirrored`
    inputs = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(fast(inputs)[0], network(inputs))


class Residual(nn.Module):
    """In the notations that networks have for a sum and a ReLU."""

    def __init__(self, notation: str) -> None:
        super().__init__()
        self.notation = notation
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu_()
        y = self.norm(self.second(x))
        match self.notation:
            case "in place":
                y += x
                return self.relu(y)
            case "functions":
                return F.relu(torch.add(x, y))
            case _:
                return x.add(y).relu()


@torch.no_grad()
@pytest.mark.parametrize("notation", ["in place", "functions", "methods"])
def test_a_residual_block_is_one_convolution_each(notation: str) -> None:
    torch.manual_seed(0)
    network = unlike_new(Residual(notation))
    fast = fused(network)
    assert fast is not None
    assert [type(part) for part in fast.children()] == [FusedConvolution] * 2
    inputs = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(fast(inputs), network(inputs.clone()))


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_traced_or_has_nothing_to_fuse_is_left() -> None:
    assert fused(Branching()) is None
    assert fused(nn.Linear(3, 4)) is None
    assert fused(torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()))) is None


@needs_gpu
@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_cudnn_computes_what_the_layers_do(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = FusedConvolution(nn.Conv2d(16, 32, 3, padding=1)).cuda()
    inputs, other = torch.randn(2, 16, 9, 9), torch.randn(2, 32, 9, 9)
    wanted = [layer.cpu()(inputs), layer(inputs, other)]
    layer.cuda()
    with torch.autocast("cuda", dtype, enabled=dtype is not torch.float32):
        found = [layer(inputs.cuda()), layer(inputs.cuda(), other.cuda())]
    for ours, expected in zip(found, wanted, strict=True):
        assert ours.dtype is dtype
        assert (ours.float().cpu() - expected).norm() <= 0.01 * expected.norm()
