"""The demo models: as good as promised, and every block of the README works."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from client import GrpcClient, RestClient, RestManagement
from deploy.configuration import PROJECT
from deploy.models import DEMO
from tests.demo.conftest import blocks, run
from tests.train.demo.test_artifacts import FLOORS
from train.core.published_weights import state_dict

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]
SAMPLES = PROJECT / ".run" / "samples"


def sample_of(model: str) -> Path:
    [path] = SAMPLES.glob(f"{model}.*")
    return path


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("model", FLOORS)
def test_the_score_on_held_out_data(model: str) -> None:
    metric, floor = FLOORS[model]
    with RestManagement() as management:
        card = management.describe(model, card=True).card or {}
    assert card["metrics"][metric] >= floor


@pytest.mark.usefixtures("served")
@torch.inference_mode()
def test_imagenet_gives_torchvisions_top_5() -> None:
    weights = MobileNet_V2_Weights.IMAGENET1K_V1
    model = mobilenet_v2()
    model.load_state_dict(state_dict(weights))
    path = sample_of("imagenet")
    with Image.open(path) as image:
        expected = model.eval()(weights.transforms()(image)[None]).softmax(1)[0].topk(5)
    for client in (RestClient, GrpcClient):
        with client() as connection:
            found = connection.predict("imagenet", path).json()["predictions"]
        assert [p["index"] for p in found] == expected.indices.tolist()
        assert [p["label"] for p in found] == [weights.meta["categories"][i] for i in expected.indices]


def shape_of(answer: dict[str, Any]) -> Any:
    """The keys an answer has, and those of its first item."""
    inner = next((value[0] for value in answer.values() if isinstance(value, list) and value), None)
    return set(answer), set(inner) if isinstance(inner, dict) else None


CLASSES = ({"predictions"}, {"label", "probability", "index"})
CONTRACT = {
    "imagenet": CLASSES,
    "shapes-detection": ({"detections"}, {"box", "label", "score", "index"}),
    "spoken-digits": CLASSES,
    "language-id": CLASSES,
}


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("grpc", [False, True])
@pytest.mark.parametrize("model", DEMO)
def test_a_call_from_the_shell(model: str, grpc: bool) -> None:
    call = [str(PROJECT / "scripts" / "predict"), model, str(sample_of(model)), *(["--grpc"] if grpc else [])]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    if model in CONTRACT:
        assert shape_of(answer) == CONTRACT[model]
    elif model == "shapes-segmentation":
        with Image.open(sample_of(model)) as image:
            assert answer["size"] == [image.height, image.width]
        assert set(answer["segments"][0]) == {"label", "index", "rle", "area"}
        assert set(answer["segments"][0]["rle"]) == {"size", "counts"}
    else:
        assert set(answer) >= {"action", "probabilities", "value"}


def test_every_block_of_the_readme(served: str) -> None:
    """In their order, but the last: it is the command that runs this test."""
    for model in DEMO:
        assert f"./scripts/predict {model} " in served
    rest = blocks()[1:]
    assert rest[-1][1].strip() == "./scripts/test"
    assert any(text.strip() == "./scripts/stop" for _, text in rest)
    for language, text in rest[:-1]:
        run(language, text)
    assert not (PROJECT / ".run" / "server.json").exists()
