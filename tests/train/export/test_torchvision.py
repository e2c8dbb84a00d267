"""torchvision's weights, exported: the same answers as torchvision's own preset and model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2
from torchvision.transforms.functional import pil_to_tensor

from deploy.configuration import PROJECT
from handlers.vision.transform import ImageTransform
from tests.inputs import IMAGES
from train.core.experiment import load
from train.core.published_weights import check_hash, state_dict


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imagenet") / "imagenet"
    load("imagenet").run(folder)
    return folder


@torch.inference_mode()
def test_the_same_top_5_as_torchvision(artifact: Path) -> None:
    description = json.loads((artifact / "artifact.json").read_text())
    weights = MobileNet_V2_Weights.IMAGENET1K_V1
    reference = mobilenet_v2()
    reference.load_state_dict(state_dict(weights))
    exported = mobilenet_v2(**description["architecture"]["arguments"])
    exported.load_state_dict(load_file(artifact / description["weights"]))
    transform = ImageTransform.from_dict(description["preprocessing"])
    for image in IMAGES:
        expected = reference.eval()(weights.transforms()(image)[None]).softmax(1)[0]
        found = exported.eval()(transform(pil_to_tensor(image))[None]).softmax(1)[0]
        assert found.topk(5).indices.tolist() == expected.topk(5).indices.tolist()
        torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)
    assert description["labels"] == weights.meta["categories"]


def test_a_first_start_needs_no_training_library() -> None:
    """`./scripts/serve` converts published weights where nothing but a server is installed."""
    told = subprocess.run(
        [sys.executable, "-c", "import sys, train.__main__, train.export.torchvision; print(*sys.modules)"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "torchvision" in told
    assert not {"lightning", "sklearn", "skimage", "torchmetrics", "matplotlib", "gymnasium", "espeakng_loader"} & set(
        told
    )


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "model-0123abcd.pth"
    path.write_bytes(b"other")
    with pytest.raises(ValueError, match="wanted a SHA-256 of 0123abcd…, as in its name"):
        check_hash(path)
