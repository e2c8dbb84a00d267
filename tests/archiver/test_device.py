"""Where a model is computed on a machine with a GPU: what the archive says about it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archiver import archive, card, mar
from archiver.device import SMALL, Device, choose
from archiver.errors import SpecError
from archiver.mar import Mar
from archiver.package import resolve
from tests.archiver.sample_project import SampleProject


@pytest.mark.parametrize(
    ("asked", "task", "format", "size", "chosen"),
    [
        ("auto", "policy", "torch-export", 100, "cpu"),
        ("auto", "policy", "safetensors", SMALL + 1, "auto"),  # it looks at images
        ("auto", "voice-activity", "torchscript", 2 << 20, "cpu"),
        ("auto", "image-classification", "safetensors", 100, "auto"),
        ("auto", "audio-classification", "safetensors", 100, "auto"),
        ("auto", "image-classification", "onnx", 100, "cpu"),
        ("auto", "a-task-of-ones-own", "safetensors", 100, "auto"),
        ("gpu", "policy", "safetensors", 100, "gpu"),
        ("gpu", "image-classification", "onnx", 100, "gpu"),  # with an ONNX Runtime of one's own
        ("cpu", "text-generation", "huggingface", SMALL + 1, "cpu"),
    ],
)
def test_the_choice(asked: Device, task: str, format: str, size: int, chosen: Device, tmp_path: Path) -> None:
    """size: of the weights, which are in two files of a folder where the format has one."""
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(size // 2))
    sample = tmp_path / "sample.wav"
    sample.write_bytes(bytes(2 * SMALL))
    names = ("weights/a", "weights/b")
    artifact: Any = SimpleNamespace(
        description=SimpleNamespace(format=format, weights="weights"),
        files={**dict.fromkeys(names, weights), "sample.wav": sample},
    )
    if size > SMALL:
        weights.write_bytes(bytes(size // 2 + 1))
    assert choose(asked, task, artifact) == chosen


@pytest.mark.parametrize(("device", "written"), [("auto", None), ("cpu", "cpu"), ("gpu", "gpu")])
def test_the_archive_tells_torchserve_and_deploy(device: str, written: str | None, tmp_path: Path) -> None:
    project = SampleProject(tmp_path)
    package = resolve(project.spec(device=device), project.artifacts)
    built = archive.build(package, project.handlers, project.store)
    with Mar(built.path) as opened:
        assert opened.mapping(mar.CONFIGURATION).get("deviceType") == written
        assert opened.mapping(mar.CARD)["device"] == device
        values = opened.mapping(mar.CARD)
        del values["device"]  # as archives had it that were built before
        assert card.Card.model_validate(values).device == "auto"


def test_another_device_is_refused(tmp_path: Path) -> None:
    project = SampleProject(tmp_path)
    with pytest.raises(SpecError, match="device"):
        resolve(project.spec(device="cuda:1"), project.artifacts)
