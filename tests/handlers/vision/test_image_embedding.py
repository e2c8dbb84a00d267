"""Image embedding: the vectors of transformers' own pipeline and of torchvision, whatever shares the batch."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from numpy.typing import NDArray
from torchvision.models import mobilenet_v2
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms.functional import pil_to_tensor
from transformers import AutoModel, CLIPModel, pipeline

from handlers.artifact import LoadError
from handlers.vision.transform import ImageTransform
from tests import tiny_vision
from tests.handlers.vision.served import ROWS, check_isolation, served
from tests.handlers.worker import Worker
from tests.inputs import IMAGES
from tests.tiny_artifacts import scaled_state
from tests.tiny_vision import photograph
from train.core.artifact import Artifact


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def vectors(worker: Worker, *rows: dict[str, Any]) -> NDArray[np.float64]:
    return np.array([answer["embedding"] for answer in worker.json(*rows)])


def unit(values: Any) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64).reshape(len(values), -1)
    found: NDArray[np.float64] = array / np.linalg.norm(array, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("name", [*tiny_vision.TOWERS])
def test_the_vectors_of_the_pipeline(name: str, tmp_path: Path) -> None:
    backend = "onnxruntime" if name == "dinov2" else "torch"
    worker = served(tiny_vision.artifact(name, "image-embedding", tmp_path / name), backend=backend)
    extract = pipeline("image-feature-extraction", model=str(tmp_path / f"{name}-source"), pool=True)
    expected = unit([extract(image) for image in IMAGES])
    found = vectors(worker, *ROWS)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (expected @ expected.T)[0, 1] < 0.99  # two images are told apart
    [as_it_is] = vectors(worker, {**ROWS[0], "normalise": b"false"})
    np.testing.assert_allclose(as_it_is, np.ravel(extract(IMAGES[0])), atol=1e-3)
    check_isolation(worker)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_images_have_their_place_beside_the_texts(name: str, tmp_path: Path) -> None:
    artifact = tiny_vision.artifact(name, "image-embedding", tmp_path / name)
    worker = served(artifact)
    model, processor, _ = tiny_vision.SOURCES[name]()
    model = AutoModel.from_pretrained(artifact / "weights").eval()
    features = model.get_image_features(**processor(images=IMAGES, return_tensors="pt")).pooler_output
    found = vectors(worker, *ROWS)
    np.testing.assert_allclose(found, unit(features.numpy()), atol=1e-4)
    assert found.shape[1] == (16 if isinstance(model, CLIPModel) else 32)
    check_isolation(worker)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_tokens_are_pooled_as_the_spec_says(pooling: str, tmp_path: Path) -> None:
    artifact = tiny_vision.artifact("clip-vision", "image-embedding", tmp_path / "tokens")
    worker = served(artifact, options={"pooling": pooling})
    extract = pipeline("image-feature-extraction", model=str(tmp_path / "tokens-source"))
    states = np.concatenate([extract(image) for image in IMAGES])
    expected = states[:, 0] if pooling == "first" else states.mean(1)
    np.testing.assert_allclose(vectors(worker, *ROWS), unit(expected), atol=1e-4)


def mobilenet(folder: Path, preprocessing: dict[str, Any]) -> Path:
    arguments = {"weights": None, "num_classes": 3, "width_mult": 0.25}
    torch.manual_seed(0)
    return Artifact(
        name=folder.name,
        task="image-embedding",
        format="safetensors",
        architecture={"factory": "torchvision.models.mobilenet_v2", "arguments": arguments},
        preprocessing={**ImageTransform(resize=72, crop=(64, 64)).to_dict(), **preprocessing},
    ).write(folder, scaled_state(mobilenet_v2(**arguments)), photograph(folder))


@torch.inference_mode()
@pytest.mark.parametrize("layer", ["flatten", "features.10", None])
def test_a_layer_of_a_classifier(layer: str | None, tmp_path: Path) -> None:
    """Its maps are averaged; without a layer the network's own output is the vector."""
    artifact = mobilenet(tmp_path / "backbone", {"embedding": "flatten"} if layer else {})
    spec: dict[str, Any] = {"options": {"embedding": layer}} if layer == "features.10" else {}
    worker = served(artifact, **spec)
    torch.manual_seed(0)
    network = mobilenet_v2(num_classes=3, width_mult=0.25)
    scaled_state(network)
    reference = create_feature_extractor(network.eval(), {layer: "found"}) if layer else network.eval()
    transform = ImageTransform(resize=72, crop=(64, 64))
    expected = []
    for sent in IMAGES:
        output = reference(transform(pil_to_tensor(sent))[None])
        found = output["found"] if layer else output
        expected.append(found.mean(dim=(2, 3)) if found.ndim == 4 else found)
    found = vectors(worker, *ROWS)
    np.testing.assert_allclose(found, unit(torch.cat(expected).numpy()), atol=1e-4)
    check_isolation(worker)


def test_what_is_wrong_with_a_model_shows_when_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no layers to name"):
        served(tiny_vision.artifact("vit", "image-embedding", tmp_path / "a"), options={"embedding": "encoder"})
    with pytest.raises(ValueError, match="has no layer 'nowhere'"):
        served(mobilenet(tmp_path / "b", {}), options={"embedding": "nowhere"})


def test_a_flag_that_is_none(tmp_path: Path) -> None:
    worker = served(mobilenet(tmp_path / "m", {}))
    for wrong in ({"normalise": b"perhaps"}, {"top_k": b"3"}):
        [(status, _, body)] = worker.answer([{**ROWS[0], **wrong}])
        assert (status, orjson.loads(body)["type"]) == (422, "InvalidInput")
