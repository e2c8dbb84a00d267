"""Which callables an artifact may name, and what is made of them."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn
from torchvision.models import get_model_builder, list_models

from handlers.formats.architecture import build, check, resolve
from handlers.formats.errors import UnsafeFile


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("os.system", "is not in torchvision, torchaudio, timm, transformers"),
        ("builtins.eval", "is not in"),
        ("torch.load", "is not in"),
        ("torch.hub.load", "is not in"),
        ("handlers.loader.load_model", "is not in"),
        ("handlers.networks_other.x", "is not in"),
        ("torchvision.os.system", "is not there"),
        ("torchvision.io.image.torch.load", "is not there"),
        ("torchvision.io.write_file", "is not annotated as returning a network"),
        ("torchvision.datasets.utils.download_url", "is not annotated"),
        ("torchvision.datasets.FakeData", "is a class, but not a network"),
        ("torchvision.datasets.utils.os", "is not defined in torchvision"),
        ("torchvision.models.resnet.partial", "is not defined in torchvision, but in functools"),
        ("torchvision.models.resnet.Tensor", "is not defined in torchvision, but in torch"),
        ("torchvision.models.ResNet18_Weights", "is a class, but not a network"),
        ("transformers.pipeline", "is not annotated"),
        ("transformers.AutoModel.from_pretrained", "is not there"),
        ("transformers.utils.import_utils.importlib.import_module", "is not there"),
        ("transformers.utils.import_utils.os", "is not defined in transformers"),
        ("transformers.utils.hub.cached_file", "is not annotated"),
        ("handlers.networks.weights.load_weights", "is not annotated"),
        ("handlers.networks.ensemble.build", "is not defined in handlers.networks"),
        ("handlers.networks.nothing.x", "is not there"),
        ("timm.nothing.x", "is not there"),
        ("torchvision", "is not a dotted name"),
        ("torchvision..models.resnet18", "is not a dotted name"),
        ("torchvision.models.resnet18\n", "is not a dotted name"),
        ("t\u043erchvision.models.resnet18", "is not a dotted name"),
        ("torchvision.models.resnet1\u0668", "is not a dotted name"),
        ("torchvision.models." + "a" * 100_000, "is not a dotted name"),
        ("handlers.networks.ensemble.", "is not a dotted name"),
    ],
)
def test_names_that_are_refused(factory: str, message: str) -> None:
    with pytest.raises(UnsafeFile, match=message) as refused:
        build({"factory": factory, "arguments": {}})
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


def test_every_builder_of_torchvision_may_be_named() -> None:
    for name in list_models():
        builder = get_model_builder(name)
        assert callable(resolve(f"{builder.__module__}.{builder.__name__}"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"weights": "DEFAULT"},
        {"weights": ["DEFAULT"]},
        {"weights": [1.0]},
        {"weights": {"a": 1}},
        {"pretrained": True},
        {"weights": None, "weights_backbone": "IMAGENET1K_V1"},
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_arguments_that_would_fetch_weights(arguments: dict[str, Any], nested: bool) -> None:
    architecture = {"factory": "torchvision.models.resnet18", "arguments": arguments}
    if nested:
        architecture = {"factory": "handlers.networks.ensemble.ensemble", "arguments": {"members": [architecture]}}
    with pytest.raises(UnsafeFile, match="would fetch weights"):
        check(architecture, ())
    with pytest.raises(UnsafeFile, match="would fetch weights"):
        build(architecture)


@pytest.mark.parametrize(
    ("factory", "arguments"),
    [
        ("torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn", {}),
        ("torchvision.models.segmentation.lraspp_mobilenet_v3_large", {"weights": None, "num_classes": 2}),
        ("torchvision.models.get_model", {"name": "FCOS_resnet50_fpn"}),
    ],
)
def test_builders_that_fetch_a_backbone_when_they_are_told_nothing(factory: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(UnsafeFile, match=r"^arguments\.weights_backbone: .* fetches weights without it; wanted null$"):
        build({"factory": factory, "arguments": arguments})


def test_the_members_of_an_ensemble_are_looked_at() -> None:
    members = [{"factory": "os.system", "arguments": {"command": "true"}}]
    with pytest.raises(UnsafeFile, match=r"'os\.system'"):
        check({"factory": "handlers.networks.ensemble.ensemble", "arguments": {"members": members}}, ())


SOURCE = """
from os import system
from torch.nn import Linear
from torch import nn

value = 3


def net(size):
    return nn.Linear(size, 1)


def none():
    return "a text"
"""


def test_files_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packed_networks.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    network = build({"factory": "packed_networks.net", "arguments": {"size": 2}}, tmp_path)
    assert isinstance(network, nn.Linear)
    for name, message in (
        ("system", "is not defined in packed_networks, but in posix"),
        ("Linear", "is not defined in packed_networks, but in torch"),
        ("value", "is not defined in packed_networks"),
        ("none", "returned a str; wanted a network"),
        ("nothing", "is not there"),
    ):
        with pytest.raises(UnsafeFile, match=message):
            build({"factory": f"packed_networks.{name}"}, tmp_path)
    with pytest.raises(UnsafeFile, match="is not in torchvision"):
        build({"factory": "packed_networks.net", "arguments": {"size": 2}}, tmp_path / "another")


def test_a_file_of_the_archive_does_not_stand_for_a_module_of_python(tmp_path: Path) -> None:
    (tmp_path / "subprocess.py").touch()
    with pytest.raises(UnsafeFile, match="is not in torchvision"):
        build({"factory": "subprocess.run", "arguments": {"args": ["true"]}}, tmp_path)
