"""A detector whose trunk is a graph, or frozen, finds what it finds without."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import detection, mobilenet_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN

from handlers.acceleration.accelerate import Acceleration
from handlers.acceleration.onnx_runtime import OnnxGraph
from handlers.networks.detection import mobilenet_v2_ssd
from handlers.networks.detector_trunk import FeatureMaps, example_for, extract, install, names_of

PLAIN = {"weights": None, "weights_backbone": None, "num_classes": 4}
ANCHORS = {
    detection.RetinaNet: ((32, 64, 128), (64, 128, 256), (128, 256, 512)),
    detection.FCOS: ((32,), (64,), (128,)),
}


def one_stage(factory: Callable[..., nn.Module]) -> nn.Module:
    layers = {"6": 32, "13": 96}
    names = {layer: layer for layer in layers}
    pyramid = BackboneWithFPN(mobilenet_v2().features, names, list(layers.values()), 32)
    sizes = ANCHORS[factory]
    anchors = AnchorGenerator(sizes, ((1.0,),) * len(sizes))
    limits = {"score_thresh": 0.0, "detections_per_img": 20}
    return factory(pyramid, 4, min_size=160, max_size=320, anchor_generator=anchors, **limits)


# The number of outputs of each one's head.
DETECTORS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "ssd": (partial(mobilenet_v2_ssd, 4, 96, 32), 2),
    "ssdlite": (partial(detection.ssdlite320_mobilenet_v3_large, **PLAIN), 2),
    "retinanet": (partial(one_stage, detection.RetinaNet), 2),
    "fcos": (partial(one_stage, detection.FCOS), 3),
    "faster_rcnn": (partial(detection.fasterrcnn_mobilenet_v3_large_320_fpn, **PLAIN), 0),
}


@pytest.mark.parametrize("backend", ["graph", "frozen"])
@pytest.mark.parametrize("name", DETECTORS)
def test_the_trunk_is_the_detector_s_own(name: str, backend: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    factory, outputs = DETECTORS[name]
    detector = factory().eval()
    trunk = extract(detector)
    assert trunk is not None
    example, dynamic = example_for(detector)
    path = tmp_path / "graph.onnx"
    scenes = [torch.rand(3, 80, 120), torch.rand(3, 120, 80)]
    with torch.inference_mode():
        wanted = detector(scenes)

    if backend == "graph":
        Acceleration(torch.device("cpu"), 1, path, export=path)(lambda: trunk, example, dynamic)
    function = Acceleration(torch.device("cpu"), 1, path)(lambda: trunk, example, dynamic)
    assert isinstance(function, OnnxGraph if backend == "graph" else torch.jit.ScriptModule)
    sizes = [example.shape[-2:]] if dynamic == (0,) else [(192, 320), (352, 224)]
    for height, width in sizes:
        images = torch.randn(3, 3, height, width)
        with torch.inference_mode():
            for found, value in zip(function(images), trunk(images), strict=True):
                torch.testing.assert_close(found, value, atol=1e-4, rtol=1e-4)
    names = names_of(trunk, example)
    assert len(names[1]) == outputs
    install(detector, function, *names)
    assert isinstance(detector.backbone, FeatureMaps)
    with torch.inference_mode():
        for found, expected in zip(detector(scenes), wanted, strict=True):
            assert set(found) == {"boxes", "labels", "scores"}
            torch.testing.assert_close(found["scores"], expected["scores"], atol=1e-4, rtol=1e-3)


def test_what_is_no_detector_of_torchvision_s_has_no_trunk() -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Identity()

    assert extract(Other()) is None
    assert extract(nn.Identity()) is None
    assert extract(torch.jit.script(Other())) is None


def test_a_image_is_normalised_after_it_has_shrunk() -> None:
    """As torchvision does it before, with its boxes."""
    transform = mobilenet_v2_ssd(4, 96, 32).transform
    image = torch.rand(3, 240, 320, generator=torch.Generator().manual_seed(1))
    images, [target] = transform([image], [{"boxes": torch.tensor([[32.0, 24.0, 160.0, 120.0]])}])
    mean, std = (torch.tensor(values)[:, None, None] for values in (transform.image_mean, transform.image_std))
    wanted = F.interpolate(((image - mean) / std)[None], (96, 96), mode="bilinear", antialias=True)
    torch.testing.assert_close(images.tensors, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(target["boxes"], torch.tensor([[9.6, 9.6, 48.0, 48.0]]))
