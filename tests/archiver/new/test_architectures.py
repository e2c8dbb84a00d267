"""`--architecture`: the networks that weights are recognised as, with the arguments that are given."""

from pathlib import Path

import pytest
import torch
from torchvision.models import get_model, get_model_weights

from archiver.errors import SpecError
from archiver.new.architectures import FROZEN, Network, find
from handlers.networks.detection import has_zero_epsilon

DETECTORS = (*FROZEN, "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn_v2")
Shapes = dict[str, tuple[int, ...]]


def shapes_of(name: str, counters: bool = True, **arguments: object) -> Shapes:
    with torch.device("meta"):
        state = get_model(name, weights=None, **arguments).state_dict()
    return {
        name: tuple(value.shape)
        for name, value in state.items()
        if counters or not name.endswith("num_batches_tracked")
    }


def found(shapes: Shapes, architecture: str) -> Network:
    network = find(Path("weights.pth"), shapes, architecture)
    assert network is not None
    return network


@pytest.mark.parametrize("name", DETECTORS)
def test_published_detectors_have_frozen_norms(name: str) -> None:
    """Those that torchvision builds without an epsilon, by its own weights; their files have no counters."""
    network = found(shapes_of(name, counters=False, weights_backbone=None, num_classes=5), name)
    published = get_model_weights(name).DEFAULT
    assert ("zero_epsilon" in network.factory) == has_zero_epsilon(published) == (name in FROZEN)
    assert network.arguments.get("model", name) == name
    assert (network.arguments["num_classes"], network.classes) == (5, 5)
    assert network.setting.certain != has_zero_epsilon(published)


def test_a_detector_trained_from_nothing_keeps_its_epsilon() -> None:
    network = found(shapes_of("maskrcnn_resnet50_fpn", weights_backbone=None, num_classes=5), "maskrcnn_resnet50_fpn")
    assert network.factory == "torchvision.models.detection.mask_rcnn.maskrcnn_resnet50_fpn"
    assert network.setting.certain


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ("resnet18", {"weights": None, "num_classes": 1000}),
        ("resnet18()", {"weights": None, "num_classes": 1000}),
        (
            "resnet18(replace_stride_with_dilation=(False, False, False))",
            {"weights": None, "num_classes": 1000, "replace_stride_with_dilation": [False, False, False]},
        ),
        ("resnet18(num_classes=1000)", {"weights": None, "num_classes": 1000}),
    ],
)
def test_arguments_go_into_the_spec(given: str, arguments: dict[str, object]) -> None:
    assert found(shapes_of("resnet18"), given).arguments == arguments


def test_arguments_that_the_shapes_depend_on() -> None:
    shapes = shapes_of("mobilenet_v2", width_mult=0.5, num_classes=7)
    assert found(shapes, "mobilenet_v2(width_mult=0.5)").arguments["width_mult"] == 0.5
    with pytest.raises(SpecError, match="--architecture mobilenet_v2: the weights do not match: different shapes"):
        find(Path("weights.pth"), shapes, "mobilenet_v2")


@pytest.mark.parametrize("name", ["ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn_v2"])
def test_detectors_of_one_stage_are_recognised(name: str) -> None:
    network = found(shapes_of(name, weights_backbone=None, num_classes=5), name)
    assert (network.task, network.classes) == ("object-detection", 5)


def test_arguments_of_timm_and_of_ones_own() -> None:
    import timm

    with torch.device("meta"):
        state = timm.create_model("test_resnet", num_classes=3, in_chans=1).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert found(shapes, "timm/test_resnet(in_chans=1)").arguments == {
        "in_chans": 1,
        "model_name": "test_resnet",
        "num_classes": 3,
    }
    own = found({"weight": (3,)}, 'net.Net(channels=8, kind="plain")')
    assert (own.factory, own.arguments) == ("net.Net", {"channels": 8, "kind": "plain"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("resnet18(", r"wanted NAME\(argument=value, …\) with plain values"),
        ("resnet18(3)", "with plain values"),
        ("resnet18(num_classes=print())", "with plain values"),
        ("resnet18(num_classes={1, 2})", "with plain values"),
        ("resnet18(a=1) or f(", "with plain values"),
        ("resnet18(**{'a': 1})", "wanted a name for each argument"),
        ("resnet18(depth=3)", r"resnet18\(depth=3\): torchvision builds none with these arguments"),
        ("resnet18(weights='DEFAULT')", r"arguments\.weights would fetch weights"),
        ("timm/test_resnet(checkpoint_path='x')", r"arguments\.checkpoint_path would fetch weights"),
        ("net.Net(depth)", "with plain values"),
    ],
)
def test_arguments_that_are_refused(given: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        find(Path("weights.pth"), shapes_of("resnet18"), given)


def test_weights_that_do_not_match_fetch_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("torchvision would download the weights of a backbone")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    with pytest.raises(SpecError, match="--architecture fasterrcnn_resnet50_fpn: the weights do not match: missing"):
        find(Path("weights.pth"), {"weight": (3,)}, "fasterrcnn_resnet50_fpn")
