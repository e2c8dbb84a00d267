"""Hugging Face folders for image classification: the same answers as transformers' own pipeline."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from PIL import Image
from transformers import BitImageProcessor, ViTConfig, ViTModel, pipeline

from archiver.errors import SpecError
from handlers.artifact import LoadError
from tests.closeness import assert_close
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded
from tests.new_models import new, served
from tests.tiny_transformers import CLASSIFIERS, LABELS, SQUARE, dinov2, save, vit

ROWS: list[dict[str, Any]] = [{"body": encoded(image), "content-type": b"image/png"} for image in IMAGES]
BROKEN = {"body": ROWS[0]["body"][:400], "content-type": b"image/png"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Worker]]:
    """A model's folder and its worker, made once."""
    made: dict[str, tuple[Path, Worker]] = {}

    def get(name: str) -> tuple[Path, Worker]:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            folder = save(CLASSIFIERS[name](), root / "folder")
            made[name] = folder, served(folder, root / name)
        return made[name]

    return get


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_answers_as_the_pipeline(model: Callable[[str], tuple[Path, Worker]], name: str) -> None:
    folder, worker = model(name)
    reference = pipeline("image-classification", model=str(folder), image_processor=str(folder))
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        wanted = {found["label"]: found["score"] for found in reference(image, top_k=len(LABELS))}
        got = {found["label"]: found["probability"] for found in answer["predictions"]}
        assert list(got) == list(wanted)
        np.testing.assert_allclose(list(got.values()), list(wanted.values()), atol=1e-5)
    spread = [answer["predictions"][0]["probability"] for answer in worker.json(*ROWS)]
    assert max(spread) - min(spread) > 1e-3  # else the images would not matter


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_batch_equals_its_images_alone(model: Callable[[str], tuple[Path, Worker]], name: str) -> None:
    _, worker = model(name)
    alone = [worker.json(row)[0] for row in ROWS]
    answers = worker.answer([ROWS[0], BROKEN, *ROWS[1:]])
    status, _, body = answers.pop(1)
    assert (status, orjson.loads(body)["type"]) == (400, "MalformedInput")
    for (code, _, answer), single in zip(answers, alone, strict=True):
        assert code == 200
        assert_close(orjson.loads(answer), single)


def test_images_of_other_sizes_are_batched_where_the_model_takes_any(tmp_path: Path) -> None:
    """A processor that resizes the shorter side and crops nothing."""
    network, _ = dinov2()
    processor = BitImageProcessor(size={"shortest_edge": 56}, do_center_crop=False)
    folder = save((network, processor), tmp_path / "folder")
    worker = served(folder, tmp_path / "any")
    reference = pipeline("image-classification", model=str(folder), image_processor=str(folder))
    for image, answer in zip([*IMAGES, IMAGES[0]], worker.json(*ROWS, ROWS[0]), strict=True):
        [wanted] = reference(image, top_k=1)
        assert answer["predictions"][0]["label"] == wanted["label"]
        assert answer["predictions"][0]["probability"] == pytest.approx(wanted["score"], abs=1e-5)
    status, _, body = worker.answer([strip(30, 3000)])[0]
    assert (status, orjson.loads(body)["type"]) == (413, "TooLarge")


def test_a_strip_that_would_grow_without_bound_is_refused(model: Callable[[str], tuple[Path, Worker]]) -> None:
    _, worker = model("dinov2")
    answers = worker.answer([strip(1, 500_000), ROWS[0]])
    assert [status for status, _, _ in answers] == [413, 200]


def strip(height: int, width: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (9, 90, 200)).save(file, "PNG")
    return {"body": file.getvalue(), "content-type": b"image/png"}


def test_the_graph_of_its_archive_answers_alike(tmp_path: Path) -> None:
    folder = save(vit(), tmp_path / "folder")
    worker = served(folder, tmp_path / "graph", backend="onnxruntime")
    assert worker.handler.artifact.graph.is_file()
    [wanted] = pipeline("image-classification", model=str(folder), image_processor=str(folder))(IMAGES[0], top_k=1)
    [answer] = worker.json(ROWS[0])
    assert answer["predictions"][0]["probability"] == pytest.approx(wanted["score"], abs=1e-4)


def test_a_folder_without_an_image_processor_is_refused(tmp_path: Path) -> None:
    folder = save(vit(), tmp_path / "folder")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(SpecError, match=r"has no preprocessor_config.json; add it: AutoImageProcessor"):
        served(folder, tmp_path / "bare")


def test_a_backbone_without_a_head_is_not_served_with_a_random_one(tmp_path: Path) -> None:
    network, processor = vit()
    config = network.config
    assert isinstance(config, ViTConfig)
    folder = save((ViTModel(config), processor), tmp_path / "folder")
    values = orjson.loads((folder / "config.json").read_bytes())
    values["architectures"] = ["ViTForImageClassification"]
    (folder / "config.json").write_bytes(orjson.dumps(values))
    with pytest.raises(LoadError, match=r"has no weights for classifier"):
        served(folder, tmp_path / "headless")


def test_what_is_not_served_is_named(tmp_path: Path) -> None:
    folder = save(vit(), tmp_path / "folder")
    values = orjson.loads((folder / "config.json").read_bytes())
    values["architectures"] = ["ViTForMaskedImageModeling"]
    (folder / "config.json").write_bytes(orjson.dumps(values))
    with pytest.raises(SpecError, match=r"its architecture ViTForMaskedImageModeling is not served"):
        new(folder, tmp_path / "masked")


def test_pickled_weights_without_a_state_dict_are_refused(tmp_path: Path) -> None:
    folder = save(vit(), tmp_path / "folder")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(SpecError, match=r"pytorch_model.bin: .*\n  the weights: holds no state dict"):
        new(folder, tmp_path / "pickled")


def test_the_processors_size_is_the_folders(model: Callable[[str], tuple[Path, Worker]]) -> None:
    _, worker = model("vit")
    assert worker.handler.transform.example().shape == (1, 3, SQUARE["height"], SQUARE["width"])
