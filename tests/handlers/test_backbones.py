"""A detector with its backbone as a graph, or frozen, finds what it finds without."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import detection

from handlers.acceleration import Acceleration
from handlers.networks.detection import mobilenet_v2_ssd
from handlers.networks.features import FeatureDict, FeatureTuple, backbone_of, example_for, names_of
from handlers.onnx_graph import OnnxGraph

PLAIN = {"weights": None, "weights_backbone": None, "num_classes": 4}
DETECTORS: dict[str, Callable[[], nn.Module]] = {
    "ssd": partial(mobilenet_v2_ssd, 4, 96, 32),
    "ssdlite": partial(detection.ssdlite320_mobilenet_v3_large, **PLAIN),
    "faster_rcnn": partial(detection.fasterrcnn_mobilenet_v3_large_320_fpn, **PLAIN),
}


@pytest.mark.parametrize("backend", ["graph", "frozen"])
@pytest.mark.parametrize("name", DETECTORS)
def test_the_maps_are_the_backbone_s_own(name: str, backend: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = DETECTORS[name]().eval()
    backbone = backbone_of(detector)
    assert backbone is not None
    example, dynamic = example_for(detector)
    path = tmp_path / "graph.onnx"

    def build() -> nn.Module:
        return FeatureTuple(backbone).eval()

    if backend == "graph":
        Acceleration(torch.device("cpu"), 1, path, export=path)(build, example, dynamic)
    function = Acceleration(torch.device("cpu"), 1, path)(build, example, dynamic)
    assert isinstance(function, OnnxGraph if backend == "graph" else torch.jit.ScriptModule)
    fast = FeatureDict(function, names_of(backbone, example))
    sizes = [example.shape[-2:]] if dynamic == (0,) else [(192, 320), (352, 224)]
    for height, width in sizes:
        images = torch.randn(3, 3, height, width)
        with torch.inference_mode():
            wanted = backbone(images)
            found = fast(images)
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, atol=1e-4, rtol=1e-4)
    detector.backbone = fast
    with torch.inference_mode():
        for found in detector([torch.rand(3, 80, 120), torch.rand(3, 120, 80)]):
            assert set(found) == {"boxes", "labels", "scores"}


def test_what_is_no_detector_of_torchvision_s_keeps_its_backbone() -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Identity()

    assert backbone_of(Other()) is None
    assert backbone_of(nn.Identity()) is None
    assert backbone_of(torch.jit.script(Other())) is None
