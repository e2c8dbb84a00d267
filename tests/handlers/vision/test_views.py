"""Several transforms of one image in one tensor: each network of an ensemble gets what it would get alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.acceleration.onnx_runtime import OnnxGraph, export
from handlers.errors import TooLarge
from handlers.networks.classifier import classifier
from handlers.networks.ensemble import Ensemble
from handlers.networks.normalised import normalised
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views

TRANSFORMS = (
    ImageTransform(36, (32, 32)),
    ImageTransform(36, (32, 32), mean=(0.2, 0.3, 0.4), std=(0.5, 0.1, 0.9)),  # another seed's colours
    ImageTransform((48, 40), interpolation="bicubic"),
)
VIEWS = Views(TRANSFORMS)
IMAGES = [
    torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(height))
    for height, width in ((50, 70), (200, 41), (33, 33))
]


@pytest.fixture(scope="module")
def networks() -> list[nn.Module]:
    torch.manual_seed(0)
    return [classifier(name, 4).eval() for name in ("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small")]


def alone(networks: list[nn.Module], image: Tensor) -> Tensor:
    """The mean of the members' probabilities, each by its own transform."""
    logits = [network(transform(image)[None]) for network, transform in zip(networks, TRANSFORMS, strict=True)]
    return torch.stack([F.softmax(part[0], 0) for part in logits]).mean(0)


@torch.inference_mode()
def test_each_member_sees_the_image_as_alone(networks: list[nn.Module], tmp_path: Path) -> None:
    model = normalised(Ensemble(networks, separate=True), VIEWS).eval()
    export(model, VIEWS.example(), (0,), tmp_path / "graph.onnx")
    packed = torch.stack([VIEWS.geometry(image) for image in IMAGES])
    assert packed.shape == (3, 3, 32 * 32 + 48 * 40)  # the first two share theirs
    expected = torch.stack([alone(networks, image) for image in IMAGES])
    for function in (model, OnnxGraph(tmp_path / "graph.onnx", 1)):
        torch.testing.assert_close(function(packed)[0].softmax(1), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(function(packed[1:2])[0].softmax(1), expected[1:2], atol=1e-5, rtol=0)


def test_many_at_once_are_packed_as_each_alone() -> None:
    """The two directions of a resize are rounded on their own there: to a level of 255, or two of a bicubic one."""
    images = torch.stack([IMAGES[0], IMAGES[0].flip(-1)])
    alone = torch.stack([VIEWS.geometry(image) for image in images])
    assert (VIEWS.geometry_on_gpu(images).int() - alone.int()).abs().max() <= 2


def test_it_travels_as_json_and_beside_nothing_else() -> None:
    assert Views.from_dict(VIEWS.to_dict()) == VIEWS
    with pytest.raises(TypeError, match="preprocessing: std beside members"):
        Views.from_dict({**VIEWS.to_dict(), "std": [1, 1, 1]})


def test_an_image_that_one_member_cannot_take() -> None:
    with pytest.raises(TooLarge):
        VIEWS.check(1, 3000, 1000)


def test_a_member_without_a_size_of_its_own() -> None:
    with pytest.raises(ValueError, match="keeps the aspect ratio needs a crop"):
        _ = Views((TRANSFORMS[0], ImageTransform(32))).spans
